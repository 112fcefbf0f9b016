"""`doctor`: checks everything that the service needs, changes nothing, and says how to mend what is wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import asdict

import anyio
import click

from listener.cli.common import database_option, json_option, print_json
from listener.cli.doctor.finding import Finding, bad, good
from listener.cli.doctor.machine import check_machine
from listener.cli.doctor.schema import check_schema
from listener.cli.doctor.security import check_security
from listener.cli.doctor.server import check_server
from listener.cli.show import console, plain
from listener.config import Settings
from listener.errors import ConfigError

MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "failure": ("✗", "red")}


@click.command()
@click.option("--security", is_flag=True, help="Try instead what browsers should not be able to do.")
@json_option
@database_option
def doctor(security: bool, as_json: bool, database_url: str | None) -> None:
    """Check everything, and say how to mend it.

    Changes nothing. The exit code is 1 when something keeps the service from working (✗); what only
    deserves a look (!) leaves it 0. With --security, what is tried is rolled back.
    """
    findings = anyio.run(_examine, database_url, security, not as_json)
    failures = sum(finding.level == "failure" for finding in findings)
    warnings = sum(finding.level == "warning" for finding in findings)
    if as_json:
        print_json({"ok": not failures, "checks": [asdict(finding) for finding in findings]})
    else:
        verdict = f"{failures} to mend, {warnings} to look at" if failures or warnings else "all is well"
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
    if settings.database_url is None:
        yield bad(
            "database",
            "DATABASE_URL is not set",
            "Set it: this version works over a database connection only.",
        )
        return
    url = settings.database_url.get_secret_value()
    if security:
        async for finding in check_security(url):
            yield finding
        return
    reached = False
    async for finding in check_server(url):
        reached = reached or (finding.check == "database" and finding.level != "failure")
        yield finding
    if reached:
        async for finding in check_schema(url):
            yield finding


def _show(finding: Finding) -> None:
    mark, style = MARKS[finding.level]
    out = console()
    out.print(mark, end=" ", style=style)
    out.print(f"{finding.check:<11} {plain(finding.text)}", soft_wrap=True)
    if finding.mend:
        out.print(f"  {'':<11} → {plain(finding.mend)}", soft_wrap=True, style="dim")
