"""Every verb as one statement, what it needs of the job, and what it leaves of it; and what a user may do meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from string import Template

from tests.support.table import StoreTable

End = tuple[
    str | None, str | None
]  # the row's word (None: no row) and its delivery's state (None: no delivery)

# The longest that a verb may wait for others: less than deadlock_timeout, which is one second.
BUDGET = 0.95


@dataclass(frozen=True)
class Verb:
    """`needs` names a step of `prepare`; the verbs of people end with a sentence when a row is locked."""

    sql: str
    ends: End
    needs: str = "running"
    people: bool = False


VERBS = {
    "claim": Verb("claim('w1', '{jobs}', '{5}')", ("processing", "running"), "waiting"),
    "heartbeat": Verb("heartbeat('w1', '[{$me}]')", ("processing", "running")),
    "heartbeat that names nothing": Verb("heartbeat('w1', '[]', beat => '0')", ("processing", "waiting")),
    "progress": Verb("""progress('[{$me, "percent": 5}]')""", ("processing", "running")),
    "stage": Verb("""stage('[{$me, "stage": "enriching"}]')""", ("enriching", "running")),
    "checkpoint": Verb("""checkpoint('[{$me, "value": 1}]')""", ("processing", "running")),
    "complete": Verb("""complete('[{$me, "columns": {"message": "done"}}]')""", ("completed", None)),
    "retry": Verb("""retry('[{$me, "error": "again", "delay": 60}]')""", ("queued", "scheduled")),
    "snooze": Verb("""snooze('[{$me, "delay": 60}]')""", ("processing", "scheduled")),
    "fail": Verb("""fail('[{$me, "error": "no use"}]')""", ("failed", None)),
    "release": Verb("release('[{$me}]')", ("processing", "waiting")),
    "rescue": Verb("rescue()", ("processing", "waiting"), "expired"),
    "rescue of a last attempt": Verb("rescue()", ("failed", None), "spent"),
    "reconcile": Verb("reconcile()", ("queued", "waiting"), "unheard"),
    "adopt": Verb("adopt('jobs', '0')", ("processing", "waiting"), "stuck"),
    "requeue": Verb("requeue('jobs', '{$key}')", ("queued", "waiting"), people=True),
    "cancel": Verb("cancel('jobs', '{$key}')", ("cancelled", None), people=True),
}

ACTIONS = {
    "edit": "update jobs set url = 'edited' where id = '$key'",
    "redrive": "update jobs set status = 'queued' where id = '$key'",
    "cancel": "update jobs set status = 'cancelled' where id = '$key'",
    "delete": "delete from jobs where id = '$key'",
    "cascade": "delete from parents where id = '$key'",
}


async def prepare(jobs: StoreTable, verb: Verb, number: int) -> tuple[str, str]:
    """Bring a new job to the state that the verb needs. Return the verb's statement and the job's key."""
    key = f"job {number}"
    await jobs.db.execute("insert into parents values ($1)", key)
    if verb.needs in ("unheard", "stuck"):
        await jobs.db.execute("alter table jobs disable trigger user")
        await jobs.add(number, parent=key, status={"unheard": "queued", "stuck": "processing"}[verb.needs])
        await jobs.db.execute("alter table jobs enable trigger user")
    else:
        await jobs.add(number, parent=key)
    me = ""
    if verb.needs in ("running", "expired", "spent"):
        job = await jobs.claim_one()
        me = f'"delivery": {job.id}, "fence": {job.fence}'
        await jobs.db.execute("update listener.delivery set attempt = $1", 3 if verb.needs == "spent" else 1)
        if verb.needs != "running":
            await jobs.expire()
    return "select listener." + Template(verb.sql).substitute(me=me, key=key), key


async def end(jobs: StoreTable, number: int) -> End:
    row = await jobs.db.fetchval("select status from jobs where id = $1", f"job {number}")
    return row, await jobs.state(number)


async def clear(jobs: StoreTable) -> None:
    await jobs.db.execute("delete from parents; delete from jobs; delete from listener.delivery")


def after_user_then_verb(name: str, action: str, *, committed: bool) -> End:
    """The design's table, when the user came first and the verb was said again afterwards."""
    verb = VERBS[name]
    if not committed or action == "edit":
        return verb.ends
    if action in ("delete", "cascade"):
        return None, None
    if name in ("cancel", "requeue"):
        return verb.ends
    if action == "cancel":
        return "cancelled", None
    return verb.ends if name == "claim" else ("queued", "waiting")


def after_verb_then_user(name: str, action: str, *, committed: bool) -> End:
    """The design's table, when the verb came first and the user's statement waited for it."""
    before = {"waiting": ("queued", "waiting"), "unheard": ("queued", None), "stuck": ("processing", None)}
    word, state = VERBS[name].ends if committed else before.get(VERBS[name].needs, ("processing", "running"))
    if action == "edit":
        return word, state
    if action in ("delete", "cascade"):
        return None, None
    if action == "cancel":
        return "cancelled", None
    if word == "queued":
        return word, state
    return "queued", "scheduled" if state == "scheduled" else "waiting"
