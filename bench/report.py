"""Figures, and how they are shown."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from rich.table import Table


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure should be: at least or at most a limit."""

    limit: float
    at_least: bool = False

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:,g}"

    def is_met(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number.

    Attributes:
        benchmark: which benchmark measured it.
        name: of what.
        value: in `unit`; for a ratio the unit is ×.
        target: None where the number is only shown.
        samples: how many measurements it is the middle, or whatever `name` says, of.
    """

    benchmark: str
    name: str
    value: float
    unit: str
    samples: int
    target: Target | None = None

    @property
    def met(self) -> bool | None:
        return None if self.target is None else self.target.is_met(self.value)


def at_most(limit: float) -> Target:
    return Target(limit)


def at_least(limit: float) -> Target:
    return Target(limit, at_least=True)


def p99(values: Sequence[float]) -> float:
    """The 99th percentile, of two values or more."""
    return quantiles(values, n=100, method="inclusive")[98]


def paired(values: Sequence[float], others: Sequence[float]) -> float:
    """How much of `others` the values are: the median of the ratios, pair by pair, so that noise which lasts
    longer than a pair cancels out."""
    return median(value / other for value, other in zip(values, others, strict=True))


def as_table(figures: Sequence[Figure]) -> Table:
    """A table for a terminal."""
    table = Table(title=f"{_machine()['cores']} cores, {_machine()['system']}", title_justify="left")
    table.add_column("benchmark")
    table.add_column("figure")
    for column in ("value", "unit", "samples", "target", "met"):
        table.add_column(column, justify="left" if column == "unit" else "right")
    shown = ""
    for figure in figures:
        if shown and figure.benchmark != shown:
            table.add_section()
        name, shown = "" if figure.benchmark == shown else figure.benchmark, figure.benchmark
        target = "" if figure.target is None else str(figure.target)
        met = {None: "", True: "[green]yes[/green]", False: "[red]no[/red]"}[figure.met]
        table.add_row(name, figure.name, _number(figure.value), figure.unit, str(figure.samples), target, met)
    return table


def as_json(figures: Sequence[Figure]) -> str:
    """One document: the machine, and the figures in full precision."""
    rows = [
        {
            "benchmark": figure.benchmark,
            "name": figure.name,
            "value": figure.value,
            "unit": figure.unit,
            "samples": figure.samples,
            "target": None if figure.target is None else str(figure.target),
            "met": figure.met,
        }
        for figure in figures
    ]
    return json.dumps({"machine": _machine(), "figures": rows}, indent=2, ensure_ascii=False)


def _machine() -> dict[str, object]:
    return {
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"
