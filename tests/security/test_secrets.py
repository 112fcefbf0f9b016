"""Secrets of the settings are hidden in texts, whole or cut."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from listener.config import Settings
from listener.jsonable import bounded
from listener.log import redact


@pytest.mark.parametrize(
    "field", ["supabase_service_key", "api_token", "webhook_secret", "supabase_jwt_secret"]
)
def test_any_secret_setting_is_hidden_by_its_value(field: str) -> None:
    secret = f'{secrets.token_hex(12)}"\\/ä{secrets.token_hex(12)}'
    Settings.load(**{field: secret})
    assert redact(f"it is {secret}, or so") == "it is [hidden], or so"


@pytest.mark.parametrize(
    ("url", "text", "expected"),
    [
        (
            "postgresql://me:tea%40four4@db/x",
            "tea@four4 and tea%40four4 at db",
            "[hidden] and [hidden] at db",
        ),
        ("postgresql://postgres:postgres@127.0.0.1/postgres", "postgres is down", "postgres is down"),
        ("postgresql://me:tea@db/x", "a cup of tea", "a cup of tea"),
        ("postgresql://me@db-without-password/x", "db-without-password", "db-without-password"),
    ],
)
def test_of_an_address_only_the_password_is_hidden(url: str, text: str, expected: str) -> None:
    Settings.load(database_url=url)
    assert redact(text) == expected


def test_a_secret_is_hidden_before_a_text_is_cut() -> None:
    token = secrets.token_hex(32)
    Settings.load(api_token=token)
    cut: Any = bounded(f"{'x' * 90}{token}{'y' * 200}", 200)
    assert not any(token[n : n + 6] in cut for n in range(len(token) - 6))
