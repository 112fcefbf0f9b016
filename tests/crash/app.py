"""The app that the crash tests run in separate processes. Each job says in files where it is, and waits there
for as long as its row's message says."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import anyio

from listener import App, Job

MARKS = Path(os.environ["MARKS"])

app = App()


@app.handler("deaf")
def deaf(job: Job) -> None:
    """Runs in a thread, and asks nobody whether it should go on."""
    mark(job, "begun")
    time.sleep(60)


def mark(job: Job, phase: str) -> None:
    """Leave a file that says: this process has come so far with this job."""
    (MARKS / f"{job.key} {phase} {job.attempt} {os.getpid()}").touch()


@app.handler("jobs", concurrency=4)
async def handle(job: Job) -> dict[str, str]:
    mark(job, "begun")
    match job.row["kind"]:
        case "stall in handler" if job.attempt == 1:
            await anyio.sleep_forever()
        case "stall in progress" if job.attempt == 1:
            for n in range(100_000):
                job.progress(n / 1000)
                mark(job, "progress")
                await anyio.sleep(0.005)
        case "stall in stage" if job.reached is None:
            await job.stage("enriching", url="draft")
            mark(job, "stage")
            await anyio.sleep_forever()
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "work":
            await anyio.sleep(0.3)
        case "wait":
            while not (MARKS / "go").exists():  # noqa: ASYNC110 - another process makes it
                await anyio.sleep(0.02)
        case "block":
            while not (MARKS / "go").exists():
                time.sleep(0.02)  # noqa: ASYNC251 - a handler that hangs the loop
    mark(job, "ended")
    return {"url": f"attempt {job.attempt}"}
