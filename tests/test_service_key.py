"""The current service key: the one that the settings name, if they name one of this project."""

from __future__ import annotations

from pathlib import Path

import pytest

from listener.errors import ConfigError
from listener.service_key import ServiceKey

URL = "https://abc.supabase.co"


def write(folder: Path, key: str, url: str = URL, name: str = ".env") -> None:
    (folder / name).write_text(f"SUPABASE_URL={url}\nSUPABASE_SERVICE_KEY={key}\n")


def test_a_changed_file_is_read_and_one_that_names_no_key_of_this_project_changes_nothing(
    workdir: Path,
) -> None:
    key = ServiceKey(URL, "sb_secret_1")
    assert key.current() == "sb_secret_1"
    write(workdir, "sb_secret_the-second")
    assert key.current() == "sb_secret_the-second"
    write(workdir, "sb_secret_of-another", "https://other.supabase.co")
    assert key.current() == "sb_secret_the-second"
    (workdir / ".env").write_text("POLL_INTERVAL=never\nSUPABASE_URL=half a li")
    assert key.current() == "sb_secret_the-second"
    write(workdir, "'sb_secret_two words'")
    assert key.current() == "sb_secret_the-second"
    (workdir / ".env").unlink()
    assert key.current() == "sb_secret_the-second"
    write(workdir, "sb_secret_3", name=".env.local")
    assert key.current() == "sb_secret_3"


def test_a_part_that_is_made_after_the_change_knows_of_it(workdir: Path) -> None:
    write(workdir, "sb_secret_the-second")
    assert ServiceKey(URL, "sb_secret_1").current() == "sb_secret_the-second"


def test_a_variable_of_the_process_wins_over_the_files(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPABASE_SERVICE_KEY", "sb_secret_1")
    key = ServiceKey(URL, "sb_secret_1")
    write(workdir, "sb_secret_the-second")
    assert key.current() == "sb_secret_1"


def test_what_can_be_no_key_is_refused_and_not_shown() -> None:
    with pytest.raises(ConfigError, match="copy it again") as refused:
        ServiceKey(URL, "sb_secret_\nx")
    assert "sb_secret" not in str(refused.value)
