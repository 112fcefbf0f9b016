"""Execute a block that is not a shell command: `python steps.py KIND FILE`, where KIND is its language."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg

from handlers.export import opencut

COLUMNS = """
select attname as name, attnotnull and not atthasdef as needed from pg_attribute
where attrelid = $1::text::regclass and attnum > 0 and not attisdropped
"""


def sql(file: Path) -> None:
    """Run SQL as the owner of the tables."""
    asyncio.run(_call("execute", file.read_text(encoding="utf-8")))


def timeline(file: Path) -> None:
    """Read a timeline as the queue `export` does."""
    opencut.read(json.loads(file.read_text(encoding="utf-8")), width=320, height=180, fps=30)


def javascript(file: Path) -> None:
    """Check that the inserts fit their tables, and check the syntax if Node.js is installed."""
    source = file.read_text(encoding="utf-8")
    if node := shutil.which("node"):
        subprocess.run([node, "--check", file.rename(file.with_suffix(".mjs"))], check=True)
    inserts = re.findall(r"from\('(\w+)'\)\s*\.insert\(\{(.*?)\}\)", source, re.DOTALL)
    assert inserts or ".insert(" not in source, "it inserts what can't be read"
    for table, row in inserts:
        given = set(re.findall(r"(?:^|,)\s*(\w+)", row))
        columns = asyncio.run(_call("fetch", COLUMNS, table))
        assert given <= {column["name"] for column in columns}, f"{table} has other columns than {given}"
        assert given >= {column["name"] for column in columns if column["needed"]}, f"{table} needs more"


async def _call(method: str, *arguments: str) -> Any:
    """Call a method of a connection to the reader's database."""
    connection = await asyncpg.connect(os.environ["READER_DATABASE"])
    try:
        return await getattr(connection, method)(*arguments)
    finally:
        await connection.close()


if __name__ == "__main__":
    {"sql": sql, "json": timeline, "js": javascript}[sys.argv[1]](Path(sys.argv[2]))
