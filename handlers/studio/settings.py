"""Settings of the studio: its backends and the limits of a recording, read once from the environment."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import FilePath, SecretStr

from listener.kit.settings import Environment, Url, setting

BRAND_BIBLE = Path(__file__).with_name("brand_bible.txt")
"""The system prompt of rows that bring none, unless STUDIO_PROMPT_FILE names another."""

_URL = "a URL such as https://api.openai.com/v1"
_KEY = "the key that the provider shows once"


class StudioSettings(Environment):
    """The settings of the queue `studio`. A megabyte is 1024 × 1024 bytes."""

    # fmt: off
    transcriber: Literal["auto", "openai", "faster-whisper", "pocketsphinx"] = setting(
        "auto", "Who transcribes; auto takes the first of these that is configured or installed.",
        "auto, openai, faster-whisper or pocketsphinx", "STUDIO_TRANSCRIBER")
    language: str | None = setting(
        None, "The language of all recordings; unset: the transcriber finds out.",
        "two or three lower-case letters such as en", "STUDIO_LANGUAGE", pattern="^[a-z]{2,3}$")
    speech_url: Url | None = setting(
        None, "A provider with OpenAI's `/audio/transcriptions`; unset: OpenAI, where there is a key.",
        _URL, "STUDIO_SPEECH_URL")
    speech_key: SecretStr | None = setting(
        None, "The key to that provider.",
        _KEY, "STUDIO_SPEECH_KEY")
    speech_model: str = setting(
        "whisper-1", "The model to ask for there.",
        "a name such as whisper-1", "STUDIO_SPEECH_MODEL")
    speech_max_mb: float = setting(
        25.0, "Megabytes that the provider takes at once; longer recordings are sent in pieces.",
        "megabytes above 0, such as 25", "STUDIO_SPEECH_MAX_MB", gt=0)
    whisper_model: str = setting(
        "small", "The model of faster-whisper: a name, which is downloaded once, or a folder.",
        "a name such as large-v3, or the path of a folder", "STUDIO_WHISPER_MODEL")
    whisper_device: Literal["auto", "cpu", "cuda"] = setting(
        "auto", "Where that model runs.",
        "auto, cpu or cuda", "STUDIO_WHISPER_DEVICE")
    whisper_compute: str = setting(
        "default", "The numbers that it computes with.",
        "default, int8, float16 or another of CTranslate2's types", "STUDIO_WHISPER_COMPUTE")
    piece_minutes: float = setting(
        20.0, "Minutes of a piece; what is done of a longer recording survives a crash piece by piece.",
        "minutes above 0, such as 20", "STUDIO_PIECE_MINUTES", gt=0)
    llm_url: Url | None = setting(
        None, "A provider with OpenAI's `/chat/completions`, which refines; unset: OpenAI, where there is a key, "
        "else fixed rules.",
        _URL, "STUDIO_LLM_URL")
    llm_key: SecretStr | None = setting(
        None, "The key to that provider.",
        _KEY, "STUDIO_LLM_KEY")
    llm_model: str = setting(
        "gpt-4o-mini", "The model to ask for there.",
        "a name such as gpt-4o-mini", "STUDIO_LLM_MODEL")
    llm_temperature: float = setting(
        0.2, "How freely it writes.",
        "a number from 0 to 0.3", "STUDIO_LLM_TEMPERATURE", ge=0, le=0.3)
    llm_piece_chars: int = setting(
        8000, "Characters of a transcript to send at once; longer ones are sent in pieces.",
        "a whole number from 500 up", "STUDIO_LLM_PIECE_CHARS", ge=500)
    provider_timeout: float = setting(
        300.0, "Seconds without a byte after which a provider counts as dead.",
        "seconds above 0, such as 300", "STUDIO_PROVIDER_TIMEOUT", gt=0)
    prompt_file: FilePath | None = setting(
        None, "The system prompt of rows that bring none.",
        "the path of a text file", "STUDIO_PROMPT_FILE")
    bucket: str = setting(
        "studio_audio", "The bucket of the recordings, which also takes captions and enrichment.",
        "the name of a bucket", "STUDIO_BUCKET")
    max_file_mb: int = setting(
        2048, "Size of a recording.",
        "megabytes, a whole number from 1 up", "STUDIO_MAX_FILE_MB", ge=1)
    max_hours: float = setting(
        6.0, "Hours that a recording may last.",
        "hours above 0, such as 6", "STUDIO_MAX_HOURS", gt=0)
    # fmt: on

    def prompt(self) -> str:
        """Return the system prompt for rows that have none."""
        return (self.prompt_file or BRAND_BIBLE).read_text(encoding="utf-8").strip()


@cache
def settings() -> StudioSettings:
    """Return the settings of this process.

    Raises:
        ConfigError: a setting is malformed.
    """
    return StudioSettings.load()
