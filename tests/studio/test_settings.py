"""The settings of the studio."""

from __future__ import annotations

from pathlib import Path

import pytest

from handlers.studio import backends
from handlers.studio.settings import StudioSettings
from listener import ConfigError

from .conftest import Configure

PAGE = Path(__file__).parents[2] / "docs/studio.md"


def test_the_page_lists_them() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert StudioSettings.table() in text, "put the output of StudioSettings.table() there"


def test_what_makes_no_sense_is_named(configure: Configure) -> None:
    with pytest.raises(
        ConfigError, match=r"STUDIO_PROMPT_FILE is 'none.txt'; it takes the path of a text file"
    ):
        configure(prompt_file="none.txt")
    with pytest.raises(ConfigError, match="STUDIO_LLM_TEMPERATURE"):
        configure(prompt_file="", llm_temperature="0.9")


def test_who_transcribes_follows_from_what_is_configured(configure: Configure) -> None:
    assert type(backends.transcriber(configure())).__name__ == "PocketsphinxTranscriber"
    assert type(backends.transcriber(configure(speech_key="sk-test"))).__name__ == "OpenAITranscriber"
    with pytest.raises(ConfigError, match="pocketsphinx knows English only"):
        backends.transcriber(configure(transcriber="pocketsphinx", language="de"))
