"""An event that re-arms itself, for code that waits for changes again and again."""

from listener.wakeup import Wakeup

__all__ = ["Wakeup"]
