"""Choose the transcriber and the refiner by the settings."""

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
    """Return the configured transcriber.

    Raises:
        ConfigError: none is available; the text says how to get one.
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
        "No transcriber is available: set STUDIO_SPEECH_URL or STUDIO_SPEECH_KEY, or install faster-whisper"
        " or pocketsphinx."
    )


def refiner(settings: StudioSettings) -> Refiner:
    """Return the configured refiner."""
    return ChatRefiner(settings) if settings.llm_url or settings.llm_key else RuleRefiner()
