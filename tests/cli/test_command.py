"""The command as a whole: its help, its errors, its exit codes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from listener.cli import COMMANDS, main
from listener.database.migrate import script
from tests.cli.conftest import Listener, environment

EVERY = [(name, about) for section in COMMANDS.values() for name, (_, about) in section.items()]


@pytest.mark.parametrize(("name", "about"), EVERY)
def test_help_says_the_same_of_a_command_everywhere(listener: Listener, name: str, about: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.name == name
    assert (command.help or "").splitlines()[0] == about
    assert about in listener("--help").output
    assert listener(name, "--help").exit_code == 0


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys; from listener.cli import main; main(['--help'], standalone_mode=False);"
        "sys.exit(bool({'asyncpg', 'pydantic', 'fastapi', 'av'} & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", program], env=environment(), check=True, capture_output=True)


def test_the_module_runs_as_the_command() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "listener", "--version"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout[:17]) == (0, "listener, version")


def test_an_unknown_command_is_a_usage_error(listener: Listener) -> None:
    result = listener("frobnicate")
    assert result.exit_code == 2
    assert "No such command 'frobnicate'" in result.stderr


def test_without_a_database_it_says_how_to_name_one(listener: Listener) -> None:
    result = listener("queues")
    assert result.exit_code == 1
    assert result.stderr == (
        "error: No database is configured; set DATABASE_URL, or SUPABASE_URL and SUPABASE_SERVICE_KEY.\n"
    )


def test_a_database_that_is_down_is_one_line_without_the_password(listener: Listener) -> None:
    result = listener("queues", "--database-url", "postgresql://me:tea4two@127.0.0.1:1/x")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: the database can't be reached (")
    assert result.stderr.count("\n") == 1
    assert "tea4two" not in result.output


def test_a_malformed_url_is_named_but_not_shown(listener: Listener) -> None:
    result = listener("queues", "--database-url", "mysql://me:tea4two@host/x")
    assert result.exit_code == 1
    assert "it takes a URL that starts with postgresql://" in result.stderr
    assert "tea4two" not in result.output


def test_the_database_may_be_named_in_a_file(listener: Listener, database: str, elsewhere: Path) -> None:
    (elsewhere / ".env").write_text(f"DATABASE_URL={database}\n")
    assert listener("queues").exit_code == 0


def test_a_database_without_the_schema(listener: Listener, bare_database: str) -> None:
    result = listener("queues", "--database-url", bare_database)
    assert result.exit_code == 1
    assert "run `listener migrate` first" in result.stderr


BROKEN_BENCH = "def run(names, json):\n    raise RuntimeError('the scale is broken\\nin two')\n"


def test_even_a_bug_is_one_line(listener: Listener, elsewhere: Path) -> None:
    (elsewhere / "bench.py").write_text(BROKEN_BENCH)
    run = subprocess.run(
        [sys.executable, "-m", "listener", "bench"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert run.stderr.splitlines()[0] == "error: RuntimeError: the scale is broken"
    assert "Traceback" not in run.stderr


def test_debug_shows_where_a_bug_is(elsewhere: Path) -> None:
    (elsewhere / "bench.py").write_text(BROKEN_BENCH)
    run = subprocess.run(
        [sys.executable, "-m", "listener", "bench"],
        env=environment(LOG_LEVEL="debug"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert "Traceback" in run.stderr


def test_a_terminal_without_utf_8_gets_question_marks(configured: str, thumbs: str) -> None:
    # Disable UTF-8 mode, which Python would enable for this locale.
    plain = environment(LC_ALL="POSIX", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")

    def listener(*command: str) -> bytes:
        return subprocess.run(
            [sys.executable, "-m", "listener", *command], env=plain, stdout=subprocess.PIPE, check=True
        ).stdout

    assert b"?" in listener("queues")
    assert listener("migrate", "--print") == script().encode()


def test_interrupted_it_ends_with_130(configured: str, thumbs: str) -> None:
    watching = subprocess.Popen(
        [sys.executable, "-m", "listener", "submit", thumbs, "--watch"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A run in the background ignores interrupts, and so would all its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    assert watching.stdout is not None
    assert watching.stdout.readline().startswith("submitted ")
    assert "waiting for a worker" in watching.stdout.readline()
    watching.send_signal(signal.SIGINT)
    _, stderr = watching.communicate(timeout=10)
    assert (watching.returncode, stderr) == (130, "")
