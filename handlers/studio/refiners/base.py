"""The interface of refiners, which turn a transcript into a text that can be published."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from handlers.studio.enrichment import Enrichment


class RefinedPieces:
    """The pieces that earlier attempts have refined, so that no piece is paid for twice.

    Args:
        pieces: refined pieces of earlier attempts.
        save: stores all pieces.
    """

    def __init__(self, pieces: dict[str, str], save: Callable[[dict[str, str]], Awaitable[None]]) -> None:
        self._pieces = pieces
        self._save = save

    def get(self, piece: str) -> str | None:
        """Return the refined piece, or None."""
        return self._pieces.get(piece)

    async def keep(self, piece: str, refined: str) -> None:
        """Store a refined piece for later attempts."""
        self._pieces[piece] = refined
        await self._save(self._pieces)


class Refiner(Protocol):
    """Rewrites a transcript."""

    @property
    def remark(self) -> str | None:
        """A warning for users about the quality, or None."""
        ...

    async def refine(
        self, enriched: Enrichment, prompt: str, notes: RefinedPieces, progress: Callable[[float], None]
    ) -> str:
        """Return the finished text.

        Args:
            enriched: the transcript in paragraphs and chapters.
            prompt: the system prompt, with the instructions for the text.
            notes: the pieces of earlier attempts of this job.
            progress: called with the share that is done, 0 to 1.

        Raises:
            Retry: the refiner did not respond or is busy.
            Fail: the refiner rejects this text.
        """
        ...
