"""The interface of transports: one call."""

from __future__ import annotations

from typing import Any, Protocol


class Transport(Protocol):
    """Call SQL functions of the schema `listener`."""

    async def call(self, function: str, /, **arguments: Any) -> Any:
        """Call one function with named arguments, in a separate transaction.

        Lists of texts or numbers are arrays; dicts and lists of dicts are jsonb; timedeltas are intervals.

        Returns:
            The function's value as JSON types.

        Raises:
            DatabaseUnavailable: the database did not answer; the call may or may not have been carried out.
            DatabaseError: the database refused the call, and nothing was changed.
        """

    async def close(self) -> None:
        """Close all connections."""
