"""DATABASE_URL is understood as other tools and hosting services write it, or ends the start with a sentence."""

from __future__ import annotations

from urllib.parse import urlsplit

import asyncpg
import pytest

from listener.config import Settings
from listener.database_url import understood
from listener.errors import ConfigError


@pytest.mark.parametrize(
    "tail",
    [
        "?pgbouncer=true&connection_limit=1&pool_timeout=30",
        "?sslmode=prefer&channel_binding=prefer",
        "?schema=public",
        "?schema=other",
        "?connect_timeout=10&supa=base-pooler.x",
        "?keepalives=1&keepalives_idle=30&tcp_user_timeout=5&gssencmode=disable",
        "?statement_cache_size=0&prepared_statements=false&prepareThreshold=0",
        "?application_name=api&options=-c%20statement_timeout%3D5000",
        "?ssl=false",
        "?novalue",
    ],
)
async def test_parameters_of_other_tools_do_no_harm(database: str, tail: str) -> None:
    connection = await asyncpg.connect(understood(database + tail))
    try:
        assert await connection.fetchval("select 1") == 1
        assert (await connection.fetchval("show search_path") == "other") == ("other" in tail)
    finally:
        await connection.close()


async def test_several_hosts_are_tried_in_turn(database: str) -> None:
    parts = urlsplit(database)
    place = parts.netloc.rpartition("@")[2]
    url = database.replace(place, f"127.0.0.1:1,{place}") + "?target_session_attrs=read-write"
    connection = await asyncpg.connect(understood(url))
    try:
        assert await connection.fetchval("select 1") == 1
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("postgres://u:p%40@h:1/d", "postgres://u:p%40@h:1/d"),
        ("postgresql+asyncpg://u@h/d", "postgresql://u@h/d"),
        (' "postgresql://u@h/d" ', "postgresql://u@h/d"),
        ("postgresql:///d?host=/run/postgresql", "postgresql:///d?host=/run/postgresql"),
        ("postgresql://u@%2Frun%2Fpg:5433/d", "postgresql://u@%2Frun%2Fpg:5433/d"),
        ("postgresql://u@h/d?ssl=true", "postgresql://u@h/d?sslmode=require"),
        ("postgresql://u@h/d?sslmode=no-verify", "postgresql://u@h/d?sslmode=require"),
    ],
)
def test_other_spellings_mean_the_same(url: str, meant: str) -> None:
    assert understood(url) == meant


def test_the_certificates_of_the_system_verify_the_host() -> None:
    url = understood("postgresql://u@h/d?sslrootcert=system")
    assert "sslmode=verify-full" in url
    assert "sslrootcert=/" in url


@pytest.mark.parametrize(
    ("tail", "sentence"),
    [
        (
            "?colour=red",
            "DATABASE_URL has the parameter 'colour', which the service does not know; remove it",
        ),
        ("?sslmode=maybe", "DATABASE_URL has sslmode='maybe'; set sslmode to one of disable, "),
        ("?target_session_attrs=any-of", "set target_session_attrs to one of any, "),
        ("?sslrootcert=/nowhere.crt", "names sslrootcert='/nowhere.crt', which is no file"),
    ],
)
def test_what_has_no_meaning_ends_the_start(tail: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.load(database_url=f"postgresql://u:canary@h/d{tail}")
    assert sentence in str(caught.value)
    assert "canary" not in str(caught.value)
