"""Derive language, paragraphs, chapters, keywords and captions from a transcript, without a model."""

from handlers.studio.enrichment.enrichment import Enrichment, enrich

__all__ = ["Enrichment", "enrich"]
