"""The base of the kit's errors, and the one that downloads and storages share."""

from __future__ import annotations

from listener.errors import ListenerError


class KitError(ListenerError):
    """Base of every error of the kit.

    Attributes:
        permanent: trying again cannot help, so a job should fail instead of being retried.
    """

    permanent: bool = False


class TooLarge(KitError):
    """A file is larger than the caller accepts."""

    permanent = True
