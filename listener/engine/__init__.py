"""Claim jobs, run their handlers, and write their outcomes. Internal: handlers import `listener` and `listener.kit`."""
