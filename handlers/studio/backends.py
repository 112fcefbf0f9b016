"""Who transcribes and who refines, as the settings ask for it."""

from __future__ import annotations

import importlib.util

from handlers.studio.refiners.base import Refiner
from handlers.studio.refiners.chat import ChatRefiner
from handlers.studio.refiners.rules import RuleRefiner
from handlers.studio.settings import StudioSettings
from handlers.studio.transcribers.base import Transcriber
from handlers.studio.transcribers.faster_whisper import FasterWhisperTranscriber
from handlers.studio.transcribers.openai import OpenAITranscriber
from handlers.studio.transcribers.pocketsphinx import PocketsphinxTranscriber
from listener import ConfigError


def transcriber(settings: StudioSettings) -> Transcriber:
    """The transcriber that the settings ask for.

    Raises:
        ConfigError: there is none; the text says how to get one.
    """
    name = settings.transcriber
    if name == "openai" or (name == "auto" and (settings.speech_url or settings.speech_key)):
        return OpenAITranscriber(settings)
    local = (
        ("faster_whisper", "faster-whisper", FasterWhisperTranscriber),
        ("pocketsphinx", "pocketsphinx", PocketsphinxTranscriber),
    )
    for package, theirs, made in local:
        if name not in {"auto", theirs}:
            continue
        if importlib.util.find_spec(package):
            return made(settings)
        if name == theirs:
            raise ConfigError(f"STUDIO_TRANSCRIBER is {name}, which is not installed: pip install {theirs}.")
    raise ConfigError(
        "Nobody is there to transcribe: set STUDIO_SPEECH_URL or STUDIO_SPEECH_KEY, or install faster-whisper"
        " or pocketsphinx."
    )


def refiner(settings: StudioSettings) -> Refiner:
    """The refiner that the settings ask for."""
    return ChatRefiner(settings) if settings.llm_url or settings.llm_key else RuleRefiner()
