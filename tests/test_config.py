"""Settings: what the environment may say, and what it hears back when it says something else."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest

from listener.config import Settings
from listener.errors import ConfigError

DOCUMENTATION = Path(__file__).parent.parent / "docs" / "operations.md"


class Environment:
    """A working directory and an environment that hold nothing but what a test puts there."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._monkeypatch = monkeypatch
        monkeypatch.chdir(folder)
        for name in os.environ:
            monkeypatch.delenv(name)

    def set(self, **variables: str) -> None:
        for name, value in variables.items():
            self._monkeypatch.setenv(name, value)

    def file(self, name: str, text: str) -> None:
        (self._folder / name).write_text(text, encoding="utf-8")


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    return Environment(tmp_path, monkeypatch)


def complaint() -> str:
    with pytest.raises(ConfigError) as caught:
        Settings.load()
    return str(caught.value)


def a_key(role: str) -> str:
    payload = base64.urlsafe_b64encode(json.dumps({"role": role}).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJIUzI1NiJ9.{payload}.signature"


def test_nothing_set_gives_the_defaults(environment: Environment) -> None:
    settings = Settings.load()

    assert (settings.poll_interval, settings.lease, settings.heartbeat) == (30.0, 20.0, 5.0)
    assert (settings.bind_host, settings.bind_port, settings.is_loopback) == ("127.0.0.1", 3001, True)
    assert settings.max_concurrent_jobs is None
    assert settings.job_timeout is None


def test_the_environment_counts_milliseconds_and_python_counts_seconds(environment: Environment) -> None:
    environment.set(POLL_INTERVAL="10000", JOB_TIMEOUT="300000")

    assert Settings.load().poll_interval == 10.0
    assert Settings.load().job_timeout == 300.0
    assert Settings.load(poll_interval=0.5).poll_interval == 0.5


def test_the_local_file_wins_over_the_file_and_the_environment_over_both(environment: Environment) -> None:
    environment.file(".env", "LOG_LEVEL=error\nPOLL_INTERVAL=1000\nLEASE=30\nUNRELATED=1\n")
    environment.file(".env.local", "LOG_LEVEL=warning\nPOLL_INTERVAL=2000\n")
    environment.set(LOG_LEVEL="debug")

    settings = Settings.load()

    assert (settings.log_level, settings.poll_interval, settings.lease) == ("debug", 2.0, 30.0)


def test_the_names_of_a_frontends_env_file_are_understood(environment: Environment) -> None:
    environment.file(
        ".env.local",
        "NEXT_PUBLIC_SUPABASE_URL=https://abc.supabase.co/\nSUPABASE_SERVICE_ROLE_KEY=sb_secret_x\n"
        "NEXT_PUBLIC_SUPABASE_ANON_KEY=sb_publishable_x\n",
    )

    settings = Settings.load()

    settings.require_database()
    assert settings.supabase_url == "https://abc.supabase.co"
    assert settings.supabase_service_key is not None
    assert settings.supabase_anon_key is not None


def test_an_empty_value_counts_as_unset(environment: Environment) -> None:
    environment.set(POLL_INTERVAL="", API_TOKEN="")

    assert Settings.load() == Settings()


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("POLL_INTERVAL", "often", "milliseconds, at least 100"),
        ("POLL_INTERVAL", "30", "milliseconds, at least 100"),
        ("JOB_TIMEOUT", "300", "milliseconds, at least 1000"),
        ("MAX_CONCURRENT_JOBS", "0", "a whole number from 1 up"),
        ("MAX_CONCURRENT_JOBS", "2.5", "a whole number from 1 up"),
        ("LEASE", "nan", "seconds above 0"),
        ("HEARTBEAT", "inf", "seconds above 0"),
        ("PORT", "99999", "a whole number from 0 to 65535"),
        ("HOST", "my-laptop", "an IP address or localhost"),
        ("LOG_LEVEL", "loud", "debug, info, warning or error"),
        ("ENABLE_HEALTH_CHECK", "maybe", "true or false"),
        ("SUPABASE_URL", "your_supabase_url", "a URL such as https://abc.supabase.co"),
        ("NEXT_PUBLIC_SUPABASE_URL", "ftp://abc", "a URL such as https://abc.supabase.co"),
        ("PUBLIC_URL", "https://me:pw@example.com", "a URL such as https://jobs.example.com"),
    ],
)
def test_a_malformed_value_is_named_with_what_is_allowed(
    environment: Environment, variable: str, value: str, allowed: str
) -> None:
    environment.set(**{variable: value})

    assert complaint().startswith(f"{variable} is '{value}'; it takes {allowed}")


@pytest.mark.parametrize("variable", ["DATABASE_URL", "API_TOKEN", "WEBHOOK_SECRET"])
def test_a_malformed_secret_is_named_but_not_shown(environment: Environment, variable: str) -> None:
    environment.set(**{variable: "canary"})

    assert complaint().startswith(f"{variable} has the wrong form; it takes ")
    assert "canary" not in complaint()


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("POLL_INTERVALL", "POLL_INTERVAL"),
        ("MAX_CONCURENT_JOBS", "MAX_CONCURRENT_JOBS"),
        ("SUPERBASE_URL", "SUPABASE_URL"),
        ("MEDIA_HOST", "MEDIA_HOSTS"),
        ("database_url", "DATABASE_URL"),
    ],
)
def test_a_slip_of_the_hand_is_named_rather_than_ignored(
    environment: Environment, slip: str, meant: str
) -> None:
    environment.file(".env", f"{slip}=canary\n")

    assert complaint() == f"{slip} is not a setting; did you mean {meant}? Rename or remove it."


def test_the_variables_of_other_programs_are_left_alone(environment: Environment) -> None:
    environment.set(
        DATABASE_URI="x", SUPABASE_DB_URL="x", SUPABASE_JWT_SECRET="x", VITE_SUPABASE_URL="x", HOSTS="x",
        RELEASE="x", HOSTNAME="x", TEMPDIR="x", PATH="/bin", DATABASE_PUBLIC_URL="x", WEB_CONCURRENCY="x",
    )  # fmt: skip

    assert Settings.load() == Settings()


def test_a_lease_must_outlast_two_beats(environment: Environment) -> None:
    environment.set(LEASE="10", HEARTBEAT="5")

    assert complaint().startswith("LEASE (10 s) must be more than twice HEARTBEAT (5 s)")


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({}, "No database is configured; set DATABASE_URL"),
        ({"SUPABASE_URL": "https://a.co"}, "No database is configured"),
        ({"SUPABASE_SERVICE_KEY": "sb_secret_x"}, "SUPABASE_SERVICE_KEY is set, but SUPABASE_URL is not"),
        ({"SUPABASE_URL": "https://a.co", "SUPABASE_ANON_KEY": "k"}, "The anon key alone is not enough"),
    ],
)
def test_without_a_way_to_the_database_the_sentence_says_what_to_set(
    environment: Environment, variables: dict[str, str], why: str
) -> None:
    environment.set(**variables)

    with pytest.raises(ConfigError, match=why):
        Settings.load().require_database()


@pytest.mark.parametrize("key", ["sb_publishable_x", a_key("anon")])
def test_the_public_key_does_not_pass_for_the_secret_one(environment: Environment, key: str) -> None:
    environment.set(SUPABASE_URL="https://a.co", SUPABASE_SERVICE_KEY=key)

    assert complaint().startswith("SUPABASE_SERVICE_KEY is the public key")


@pytest.mark.parametrize("key", ["sb_secret_x", a_key("service_role"), "not.base64.", "eyJ.W10=.x"])
def test_any_other_key_is_for_the_project_to_judge(environment: Environment, key: str) -> None:
    environment.set(SUPABASE_URL="https://a.co", SUPABASE_SERVICE_KEY=key)

    Settings.load().require_database()


def test_a_host_that_sets_the_port_gets_all_interfaces(environment: Environment) -> None:
    environment.set(PORT="8080", HEALTH_CHECK_PORT="3001")
    assert (Settings.load().bind_host, Settings.load().bind_port) == ("0.0.0.0", 8080)

    environment.set(HOST="localhost")
    assert Settings.load().bind_host == "127.0.0.1"
    assert Settings.load().is_loopback


def test_media_may_come_from_the_project_and_the_hosts_that_are_named(environment: Environment) -> None:
    environment.set(MEDIA_HOSTS="media.local, 10.0.0.7:8080", SUPABASE_URL="http://127.0.0.1:54321/")
    assert Settings.load().trusted_hosts == ["media.local", "10.0.0.7:8080", "127.0.0.1:54321"]


def test_secrets_do_not_show_when_settings_are_printed(environment: Environment) -> None:
    environment.set(
        DATABASE_URL="postgresql://me:canary@host/db", SUPABASE_SERVICE_KEY="canary", API_TOKEN="canary" * 3
    )

    assert "canary" not in f"{Settings.load()} {Settings.load()!r}"


def test_a_file_that_is_no_text_is_one_sentence(environment: Environment, tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"LEASE=\xff\xfe\n")

    assert complaint().startswith("A .env file can't be read")


def test_a_line_of_a_file_that_would_be_left_out_is_named(environment: Environment, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LEASE=30\n\nDATABASE_URL: postgresql://u:canary@db/x\n")

    assert complaint() == ".env, line 3, can't be read; write NAME=value, with both quotes or none."


def test_a_password_with_an_at_sign_is_to_be_encoded(environment: Environment) -> None:
    environment.set(DATABASE_URL="postgresql://u:p@ss@db:5432/x")

    assert complaint().startswith("DATABASE_URL has the wrong form; it takes ")


def test_an_override_that_does_not_exist_is_a_mistake_in_the_program(environment: Environment) -> None:
    with pytest.raises(TypeError, match="Settings has no leese"):
        Settings.load(leese=3)


def test_the_documentation_has_the_table_of_these_settings() -> None:
    text = DOCUMENTATION.read_text(encoding="utf-8")
    assert Settings.table() in text, "put the output of Settings.table() there"
