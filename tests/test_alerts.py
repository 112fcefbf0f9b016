"""Prometheus's own tool tests the alerts: when they fire, and with which texts."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RULES = ROOT / "deploy" / "alerts.yml"
CASES = ROOT / "tests" / "support" / "alerts.yml"

pytestmark = pytest.mark.system


def test_the_alerts_fire_when_they_should_and_say_what_is_wrong(tmp_path: Path) -> None:
    cases = tmp_path / "cases.yml"
    cases.write_text(CASES.read_text(encoding="utf-8").replace("RULES", str(RULES)), encoding="utf-8")
    done = subprocess.run(
        ["/usr/bin/promtool", "test", "rules", cases], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("what", "file"), [("rules", "alerts.yml"), ("config", "prometheus.yml")])
def test_prometheus_accepts_the_files(what: str, file: str) -> None:
    done = subprocess.run(
        ["/usr/bin/promtool", "check", what, file],
        cwd=RULES.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
