"""Benchmarks of the service, with their targets. `listener bench` runs them."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import anyio
from rich.console import Console

from bench.report import Figure, as_json, as_table
from listener.errors import ConfigError

BENCHMARKS = ("pickup", "drain", "idle", "crash", "insert", "render")


def run(names: Sequence[str], json: bool) -> int:
    """Run benchmarks and print the figures.

    Args:
        names: some of BENCHMARKS; all if empty.
        json: print one JSON document instead of a table.

    Returns:
        0, or 1 if a target was missed.

    Raises:
        ConfigError: there is no benchmark of that name.
    """
    for name in names:
        if name not in BENCHMARKS:
            raise ConfigError(f"there is no benchmark {name!r}; the benchmarks are {', '.join(BENCHMARKS)}")
    figures = anyio.run(_measure, names or BENCHMARKS)
    if json:
        print(as_json(figures))
    else:
        Console().print(as_table(figures))
    return 1 if any(figure.met is False for figure in figures) else 0


async def _measure(names: Sequence[str]) -> list[Figure]:
    figures: list[Figure] = []
    for name in names:
        benchmark = importlib.import_module(f"bench.{name}")
        with Console(stderr=True).status(f"measuring {name}"):
            figures += await benchmark.measure()
    return figures
