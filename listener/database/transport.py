"""What every transport offers: one call."""

from __future__ import annotations

from typing import Any, Protocol


class Transport(Protocol):
    """Calls SQL functions of the schema `listener`."""

    async def call(self, function: str, /, **arguments: Any) -> Any:
        """Call one function with named arguments, in a transaction of its own.

        Lists of texts or numbers are arrays; dicts and lists of dicts are jsonb; timedeltas are intervals.

        Returns:
            The function's value as JSON types.

        Raises:
            DatabaseUnavailable: there was no answer; the call may or may not have been carried out.
            DatabaseError: the database refused the call, and nothing was changed.
        """

    async def close(self) -> None:
        """Give back what the transport holds."""
