"""The floor of pickup, a minimal program: one LISTEN, and one UPDATE that claims a row.

It has no leases, retries or fences, and loses what it holds when it dies.
"""

from __future__ import annotations

import asyncio
import os

import asyncpg

from bench.setting import report

TRIGGER = """
create function wake() returns trigger language plpgsql as $$ begin perform pg_notify('wake', ''); return null; end $$;
create trigger wake after insert on jobs for each statement execute function wake()
"""

INDEX = "create index on jobs (created_at) where status = 'queued'"

CLAIM = """
update jobs set status = 'processing'
where id = (select id from jobs where status = 'queued' order by created_at limit 1 for update skip locked)
returning *
"""


async def main() -> None:
    """Claim rows one by one until the process is killed."""
    url = os.environ["DATABASE_URL"]
    ears, hands = await asyncpg.connect(url), await asyncpg.connect(url)
    woken = asyncio.Event()
    await ears.add_listener("wake", lambda *_: woken.set())
    while True:
        while row := await hands.fetchrow(CLAIM):
            report(str(row["id"]))
        await woken.wait()
        woken.clear()


if __name__ == "__main__":
    asyncio.run(main())
