"""Services as processes of their own, for tests that kill them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]

Serve = Callable[..., "subprocess.Popen[bytes]"]


@contextmanager
def serving(folder: Path, *module: str, **environment: str) -> Iterator[Serve]:
    """Starts `python -m MODULE…` in `folder` whenever it is called, with this environment and what the call adds; kills
    them all at the end of the block. What they say is in the files `log N`.
    """
    processes: list[subprocess.Popen[bytes]] = []
    always = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment}

    def start(**more: str) -> subprocess.Popen[bytes]:
        with (folder / f"log {len(processes)}").open("wb") as log:
            command = [sys.executable, "-m", *module]
            processes.append(
                subprocess.Popen(command, env={**always, **more}, cwd=folder, stdout=log, stderr=log)
            )
        return processes[-1]

    try:
        yield start
    finally:
        for process in processes:
            process.kill()
            process.wait()
