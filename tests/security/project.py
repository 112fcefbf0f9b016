"""A Supabase project's database, and those who work with it."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg

from tests.support.databases import as_role, execute

OWNER = "sb_postgres"  # plays Supabase's role `postgres`


class Project:
    """The database.

    Args:
        root_url: as the superuser of the cluster.
        runner: runs its coroutines.

    Attributes:
        url: as the owner.
        root_url: as given.
        run: waits for a coroutine of the test's own.
    """

    def __init__(self, root_url: str, runner: asyncio.Runner) -> None:
        self.url = as_role(root_url, OWNER)
        self.run = runner.run
        self._owner = self.run(asyncpg.connect(self.url))
        self.root_url = root_url

    def sql(self, statement: str, *values: Any) -> Any:
        """Run a statement as the owner; return its first value."""
        return self.run(self._owner.fetchval(statement, *values))

    def fetch(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        """Run a query as the owner, and return its rows."""
        return list(self.run(self._owner.fetch(statement, *values)))

    def script(self, text: str) -> None:
        """Run statements as the owner, as the SQL editor does."""
        self.run(self._owner.execute(text))

    def as_root(self, statement: str) -> None:
        """Run statements as nobody in a project could."""
        self.run(execute(self.root_url, statement))

    def sign_up(self) -> str:
        """Make a user; return the id."""
        user = str(uuid.uuid4())
        self.sql("insert into auth.users (id, aud, role) values ($1, 'authenticated', 'authenticated')", user)
        return user

    @contextmanager
    def acting_as(self, role: str, user: str | None = None) -> Iterator[None]:
        """One transaction as the API makes it for this role; what fails in it is undone."""
        transaction = self._owner.transaction()
        self.run(transaction.start())
        claims = json.dumps({"sub": user, "role": role} if user else {"role": role})
        self.sql(
            "select set_config('request.jwt.claims', $1, true), set_config('role', $2, true)", claims, role
        )
        try:
            yield
        except BaseException:
            self.run(transaction.rollback())
            raise
        self.run(transaction.commit())

    def run_as(self, role: str, user: str | None, statement: str, *values: Any) -> str:
        """Run a statement as the API does; return its status, such as `UPDATE 1`, or the state of its refusal."""
        try:
            with self.acting_as(role, user):
                return str(self.run(self._owner.execute(statement, *values)))
        except asyncpg.PostgresError as error:
            return str(error.sqlstate)

    def close(self) -> None:
        self._owner.terminate()
