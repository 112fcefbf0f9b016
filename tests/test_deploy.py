"""The Grafana dashboard and the alerts use metrics that exist, and the runbook explains all of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from listener.config import Settings
from listener.metrics import Metrics

ROOT = Path(__file__).parent.parent
ALERTS = (ROOT / "deploy" / "alerts.yml").read_text(encoding="utf-8")
RUNBOOK = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
BOARD = json.loads((ROOT / "deploy" / "grafana" / "listener.json").read_text(encoding="utf-8"))
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


def exported() -> set[str]:
    """Every name that a query can use."""
    metrics = Metrics()
    metrics.publish({"queues": [], "notify_usage": 0.0})
    names = set()
    for family in metrics.registry.collect():
        match family.type:
            case "counter":
                names.add(f"{family.name}_total")
            case "info":
                names.add(f"{family.name}_info")
            case _:
                names.add(family.name)
    return names


def used(text: str) -> set[str]:
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"listener_[a-z_]+", text)}


def test_the_board_and_the_alerts_use_only_metrics_that_exist() -> None:
    assert used(json.dumps(BOARD)) | used(ALERTS) <= exported()


def test_every_metric_is_used_and_explained() -> None:
    assert exported() <= used(json.dumps(BOARD)) | used(ALERTS)
    assert exported() <= used(RUNBOOK)


def test_every_alert_says_what_where_and_what_to_do() -> None:
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in RUNBOOK.splitlines()
        if line.startswith("#")
    }
    alerts = ALERTS.split("- alert: ")[1:]

    assert len(alerts) == 3
    for alert in alerts:
        for part in ("expr:", "for:", "severity:", "summary:", "description:"):
            assert part in alert
        assert "$value" in alert
        (anchor,) = re.findall(r"runbook_url: docs/operations\.md#(\S+)", alert)
        assert anchor in headings


@pytest.mark.parametrize("panel", BOARD["panels"], ids=lambda panel: panel["title"])
def test_every_panel_explains_itself_and_follows_the_chosen_source(panel: dict[str, object]) -> None:
    text = json.dumps(panel)

    assert panel["title"]
    assert panel["description"]
    assert re.search(r'"unit": "\w+"', text)
    assert panel["datasource"] == DATASOURCE
    assert text.count('"expr"') == text.count(json.dumps(DATASOURCE)) - 1
    assert set(re.findall(r"(?<=\[)[^\]\[]*(?=\]\))", text)) <= {"$__rate_interval"}


def test_the_board_can_be_imported_anywhere() -> None:
    assert BOARD["id"] is None
    assert BOARD["schemaVersion"] == 39
    assert [variable["name"] for variable in BOARD["templating"]["list"]] == [
        "datasource",
        "queue",
        "instance",
    ]
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])


def test_the_railway_file_names_what_exists() -> None:
    railway = json.loads((ROOT / "deploy" / "railway.json").read_text(encoding="utf-8"))

    assert (ROOT / railway["build"]["dockerfilePath"]).is_file()
    assert railway["deploy"]["healthcheckPath"] == "/readyz"
    assert railway["deploy"]["drainingSeconds"] >= Settings().shutdown_grace + 10


def test_the_image_installs_the_locked_dependencies_and_contains_the_notices() -> None:
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()

    assert "--require-hashes -r requirements.lock" in dockerfile
    assert ignored[1] == "*", "everything is excluded that is not named"
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE)
    for name in " ".join(copied).split():
        assert f"!{name}" in ignored
        assert (ROOT / name).exists()
    assert "**/.env*" in ignored


def test_the_notice_names_every_licence_of_a_font() -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")

    assert "Tavmjong Bah" in notice
    assert {path.name for path in (ROOT / "handlers/export/text/fonts").glob("*.txt")} == {
        "LICENSE.txt",
        "OFL.txt",
    }
    assert "GPL" in notice
