"""Generate video clips from prompts, by a provider or on this machine.

Other rooms call `generate` in their handlers, and `cancel_unwanted` every `LOOK_EVERY` seconds.
"""

from handlers.clips.generation import generate
from handlers.clips.handler import app
from handlers.clips.in_flight import LOOK_EVERY, cancel_unwanted
from handlers.clips.model import Clip, ClipError, Request

__all__ = ["LOOK_EVERY", "Clip", "ClipError", "Request", "app", "cancel_unwanted", "generate"]
