"""Bound the responses of servers that this program does not control."""

from listener.response_body import UNCOMPRESSED, bound

__all__ = ["UNCOMPRESSED", "bound"]
