"""A service whose handlers start processes in every way that Python has."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from listener import App, Job, log
from listener.config import Settings
from listener.engine.engine import Engine

LEFT = Path(os.environ["MARKS"]) / "left"
"""The process that the job leaves behind."""

app = App()


def square(number: int) -> int:
    return number * number


def fail(number: int) -> int:
    if number:
        time.sleep(60)
    raise ZeroDivisionError


def run_pool(method: str) -> int:
    context: Any = multiprocessing.get_context(method)
    try:
        with context.Pool(2) as pool:  # leaving the block ends the workers by SIGTERM
            for _ in pool.imap_unordered(fail, range(2)):
                pass
    except ZeroDivisionError:
        pass
    process = context.Process(target=time.sleep, args=[60])
    process.start()
    time.sleep(0.2)
    process.terminate()
    process.join()
    assert process.exitcode == -signal.SIGTERM
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        return sum(executor.map(square, range(4)))


def fork() -> int:
    child = os.fork()
    if not child:
        time.sleep(60)
        os._exit(0)
    return child


def handle(job: Job) -> dict[str, int]:
    match job.row["kind"]:
        case "fork" | "spawn" | "forkserver":
            return {"result": run_pool(job.row["kind"])}
        case "os.fork":
            child = fork()
            time.sleep(0.2)
            os.kill(child, signal.SIGINT)
            _, status = os.waitpid(child, 0)
            assert os.waitstatus_to_exitcode(status) == -signal.SIGINT
            child = os.fork()
            if not child:
                raise RuntimeError("only the child fails")
            _, status = os.waitpid(child, 0)
            assert os.waitstatus_to_exitcode(status) == 1
            LEFT.write_text(str(fork()))
        case "subprocess":
            # The job ends before its process does.
            command = [sys.executable, "-c", "import time; time.sleep(60)"]
            LEFT.write_text(str(subprocess.Popen(command).pid))
    return {"result": 14}


async def handle_async(_: Job) -> dict[str, int]:
    LEFT.write_text(str(fork()))
    return {"result": 14}


app.handler("jobs")(handle_async if os.environ.get("ASYNC") else handle)


if __name__ == "__main__":
    settings = Settings.load()
    log.configure(settings.log_level)
    asyncio.run(Engine(app, settings).run())
