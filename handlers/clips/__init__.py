"""The clips room: makes video clips of prompts, by a provider or by itself.

Other rooms use its one public function, `generate`; the service includes `handlers.clips.handler.app`.
"""

from handlers.clips.generation import generate
from handlers.clips.model import Clip, ClipError, Request

__all__ = ["Clip", "ClipError", "Request", "generate"]
