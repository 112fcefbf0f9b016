"""What a refiner is: it turns a transcript into a text that can be published."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from handlers.studio.enrichment import Enrichment


class RefinedPieces:
    """The pieces that an earlier attempt has refined, so that nothing is paid for twice.

    Args:
        pieces: what earlier attempts kept.
        save: keeps all of them.
    """

    def __init__(self, pieces: dict[str, str], save: Callable[[dict[str, str]], Awaitable[None]]) -> None:
        self._pieces = pieces
        self._save = save

    def get(self, piece: str) -> str | None:
        """What was made of this piece."""
        return self._pieces.get(piece)

    async def keep(self, piece: str, refined: str) -> None:
        """Remember it for later attempts."""
        self._pieces[piece] = refined
        await self._save(self._pieces)


class Refiner(Protocol):
    """Rewrites what was said."""

    @property
    def remark(self) -> str | None:
        """What users should know about its work."""
        ...

    async def refine(
        self, enriched: Enrichment, prompt: str, notes: RefinedPieces, progress: Callable[[float], None]
    ) -> str:
        """The finished text.

        Args:
            enriched: what was said, in paragraphs and chapters.
            prompt: the system prompt, which says how the text shall be.
            notes: of earlier attempts at the same job.
            progress: told the share that is done, 0 to 1.

        Raises:
            Retry: the refiner did not answer, or asked to be left alone for now.
            Fail: it will never take this.
        """
        ...
