"""Turn errors of tables into HTTP responses, for routes that read and write tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import HTTPException

from listener.kit.tables.api import TablesError, TablesUnavailable


@contextmanager
def answered(cannot: str) -> Iterator[None]:
    """Turn the errors of tables within the block into status 503.

    Args:
        cannot: beginning of the error sentence, such as "Operations can't be read".
    """
    try:
        yield
    except TablesUnavailable:
        # Not 404: the row may exist, and a frontend would stop asking for it.
        raise HTTPException(
            503, "The database did not answer; ask again.", headers={"Retry-After": "2"}
        ) from None
    except TablesError as error:
        raise HTTPException(503, f"{cannot}: {error}.") from None
