"""Text and values that the database can store, and error texts without secrets."""

from listener.jsonable import bounded, clean, jsonable
from listener.log import reason_of, redact, summary

__all__ = ["bounded", "clean", "jsonable", "reason_of", "redact", "summary"]
