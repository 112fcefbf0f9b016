"""Run one export in a separate process that can be traced: `python exporting.py STORAGE TEMP`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import anyio

from handlers.export import handler
from listener import Fail
from listener.kit import storage

from .conftest import a_job


async def main(folder: str, temporary: str) -> None:
    tempfile.tempdir = temporary
    storage.use(storage.LocalStorage(Path(folder), "http://127.0.0.1:3001"))
    job = a_job()
    try:
        await handler.export(job)
        print("completed")
    except Fail as fail:
        print(fail)
    finally:
        job._clean_up()


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2])
