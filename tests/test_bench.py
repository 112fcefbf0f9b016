"""The measurements in miniature: that they run and report, not what they find."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

import bench
from bench import pickup
from bench.report import Figure, as_json, as_table, at_least, at_most, p99, paired
from listener.errors import ConfigError

FIGURES = [
    Figure("drain", "plain", 4820.5, "jobs/s", 3, at_least(5000)),
    Figure("drain", "under load", 0.97, "×", 3, at_least(0.95)),
    Figure("crash", "kill -9 → started again", 25.0, "s", 2, at_most(25)),
    Figure("insert", "1 client", 0.3125, "ms", 300),
]

MEASURING = """
import anyio, pathlib
from bench.setting import Setting


async def main():
    async with Setting(None, pathlib.Path.cwd()).program("measured", database="") as program:
        print((await program.report()).word, flush=True)
        await anyio.sleep(60)


anyio.run(main)
"""


def test_a_figure_says_whether_its_target_is_met() -> None:
    assert [figure.met for figure in FIGURES] == [False, True, True, None]


def test_pairs_are_compared_one_by_one() -> None:
    quiet, busy = (100.0, 95.0), (10.0, 9.0)
    ours, others = [quiet[1], busy[1], quiet[1]], [quiet[0], busy[0], quiet[0]]
    assert paired(ours, others) == 0.95


def test_p99_is_near_the_slowest() -> None:
    assert p99([float(number) for number in range(101)]) == 99.0


def test_the_table_shows_values_and_targets() -> None:
    shown = io.StringIO()
    Console(file=shown, width=120).print(as_table(FIGURES))
    lines = [line.split("│") for line in shown.getvalue().splitlines() if line.startswith("│")]
    assert [[cell.strip() for cell in line[1:-1]] for line in lines] == [
        ["drain", "plain", "4,820", "jobs/s", "3", "≥ 5,000", "no"],
        ["", "under load", "0.97", "×", "3", "≥ 0.95", "yes"],
        ["crash", "kill -9 → started again", "25.00", "s", "2", "≤ 25", "yes"],
        ["insert", "1 client", "0.31", "ms", "300", "", ""],
    ]


def test_json_has_the_full_precision() -> None:
    document = json.loads(as_json(FIGURES))
    assert document["machine"]["cores"] >= 1
    assert document["figures"][0] == {
        "benchmark": "drain",
        "name": "plain",
        "value": 4820.5,
        "unit": "jobs/s",
        "samples": 3,
        "target": "≥ 5,000",
        "met": False,
    }


def test_a_benchmark_that_there_is_not_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no benchmark 'pickups'; the benchmarks are pickup, drain"):
        bench.run(["pickups"], True)


async def test_pickup_measures_the_service_and_the_floor() -> None:
    figures = {figure.name: figure for figure in await pickup.measure(pairs=3, rate=100)}
    assert all(figure.value > 0 for figure in figures.values())
    assert figures["p50 ÷ floor's p50"].target == at_most(1.5)


def test_a_measured_program_dies_with_the_measuring_one(tmp_path: Path) -> None:
    (tmp_path / "measured.py").write_text(
        "import time\nfrom bench.setting import report\nreport('up')\ntime.sleep(60)\n"
    )
    (tmp_path / "measuring.py").write_text(MEASURING)
    with subprocess.Popen(
        [sys.executable, "measuring.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as measuring:
        assert measuring.stdout is not None
        assert measuring.stdout.readline() == b"up\n"
        measuring.kill()
        if sys.platform == "linux":  # whose kernel does it
            measuring.communicate(timeout=10)  # until nobody holds its stderr
