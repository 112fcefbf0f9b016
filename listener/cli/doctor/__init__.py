"""`doctor`: check everything that the service needs, without changing anything, and suggest corrections."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import asdict

import anyio
import click

from listener import log
from listener.cli.common import database_option, json_option, print_json
from listener.cli.doctor.finding import Finding, bad, good
from listener.cli.doctor.machine import check_machine
from listener.cli.doctor.schema import check_schema
from listener.cli.doctor.security import check_security
from listener.cli.doctor.server import check_server
from listener.cli.doctor.supabase import check_supabase
from listener.cli.show import console, plain
from listener.config import Settings
from listener.errors import ConfigError

MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "failure": ("✗", "red")}


@click.command()
@click.option("--security", is_flag=True, help="Instead, try what browsers should not be able to do.")
@json_option
@database_option
def doctor(security: bool, as_json: bool, database_url: str | None) -> None:
    """Check the set-up and suggest corrections.

    The command changes nothing. The exit code is 1 if an error (✗) keeps the service from working. Warnings (!) do
    not change the exit code. With --security, every attempt is rolled back.
    """
    log.configure("error")  # the report contains the warnings
    findings = anyio.run(_examine, database_url, security, not as_json)
    failures = sum(finding.level == "failure" for finding in findings)
    warnings = sum(finding.level == "warning" for finding in findings)
    if as_json:
        print_json({"ok": not failures, "checks": [asdict(finding) for finding in findings]})
    else:
        verdict = f"{failures} errors, {warnings} warnings" if failures or warnings else "no problems found"
        click.echo(f"\n{verdict}")
    click.get_current_context().exit(1 if failures else 0)


async def _examine(given: str | None, security: bool, show: bool) -> list[Finding]:
    findings = []
    async for finding in _findings(given, security):
        findings.append(finding)
        if show:
            _show(finding)
    return findings


async def _findings(given: str | None, security: bool) -> AsyncIterator[Finding]:
    try:
        settings = Settings.load(**{} if given is None else {"database_url": given})
        settings.require_database()
    except ConfigError as error:
        yield bad("settings", str(error), "Every setting is described in docs/operations.md.")
        return
    yield good("settings", "read from the environment, .env and .env.local")
    if not security:
        async for finding in check_machine(settings):
            yield finding
    url = settings.database_url.get_secret_value() if settings.database_url else None
    if security:
        if url is None:
            yield bad(
                "database",
                "DATABASE_URL is not set",
                "Set it, because the checks act as browsers in the database.",
            )
            return
        async for finding in check_security(url):
            yield finding
        return
    key = settings.supabase_service_key
    in_project = settings.supabase_url is not None and key is not None
    if url is not None:
        async for finding in _check_database(url, in_project):
            yield finding
    if settings.supabase_url is not None and key is not None:
        async for finding in check_supabase(settings.supabase_url, key.get_secret_value(), alone=url is None):
            yield finding


async def _check_database(url: str, in_project: bool) -> AsyncIterator[Finding]:
    found: dict[str, str] = {}
    async for finding in check_server(url, has_realtime=in_project):
        found[finding.check] = finding.level
        yield finding
    if found.get("database") == "ok":
        async for finding in check_schema(url, listens=found.get("listen") == "ok", in_project=in_project):
            yield finding


def _show(finding: Finding) -> None:
    mark, style = MARKS[finding.level]
    out = console()
    out.print(mark, end=" ", style=style)
    out.print(f"{finding.check:<11} {plain(finding.text)}", soft_wrap=True)
    if finding.fix:
        out.print(f"  {'':<11} → {plain(finding.fix)}", soft_wrap=True, style="dim")
