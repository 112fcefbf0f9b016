"""Figures and their output."""

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
    """The target of a figure: at least or at most a limit."""

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
        name: the measured quantity.
        value: in `unit`; the unit of a ratio is ×.
        target: None if there is no target.
        samples: the number of measurements behind the value.
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
    """Return the 99th percentile of two or more values."""
    return quantiles(values, n=100, method="inclusive")[98]


def paired(values: Sequence[float], others: Sequence[float]) -> float:
    """Return the median of the ratios of pairs. Noise that lasts longer than a pair cancels out."""
    return median(value / other for value, other in zip(values, others, strict=True))


def as_table(figures: Sequence[Figure]) -> Table:
    """Return a table for a terminal."""
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
    """Return one JSON document: the machine, and the figures with full precision."""
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
