"""The clips room: makes video clips of prompts, by a provider or by itself.

Other rooms use its public functions, `generate` and `cancel_unwanted`; the service includes
`handlers.clips.handler.app`.
"""

from handlers.clips.generation import generate
from handlers.clips.in_flight import LOOK_EVERY, cancel_unwanted
from handlers.clips.model import Clip, ClipError, Request

__all__ = ["LOOK_EVERY", "Clip", "ClipError", "Request", "cancel_unwanted", "generate"]
