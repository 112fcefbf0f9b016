"""Language, keywords and sentences of texts in several languages."""

from __future__ import annotations

import pytest

from handlers.shared.text.keywords import keywords
from handlers.shared.text.language import content_words, guess
from handlers.shared.text.sentences import sentences


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("we know that it is not what they said to us", "en"),
        ("das ist nicht das was wir mit der Sache und dem Garten gemeint haben", "de"),
        ("nous ne savons pas ce que vous avez dit dans les jardins", "fr"),
        ("no sabemos lo que los vecinos han dicho en el jardín", "es"),
        ("non sappiamo che cosa hanno detto nella riunione del comune", "it"),
        ("wij weten niet wat zij over de tuin hebben gezegd", "nl"),
        ("não sabemos o que eles disseram sobre os jardins da cidade", "pt"),
        # Queries of a few words.
        ("Generate a 2 second video about bees", "en"),
        ("Quadratische Diashow dieser Bilder erstellen", "de"),
        ("Crie um vídeo sobre abelhas no jardim", "pt"),
        ("De regering heeft gisteren nieuwe maatregelen aangekondigd.", "nl"),
        # Elided articles are stop words.
        ("L’énergie solaire devient l’alternative d’aujourd’hui.", "fr"),
        ("Crea un video sull'apicoltura nell'Italia centrale", "it"),
        # The script decides.
        ("今日は良い天気です", "ja"),
        ("今天天气很好", "zh"),
        ("Сегодня хорошая погода", "ru"),
        ("आज मौसम अच्छा है", "hi"),
        ("இன்று வானிலை நன்றாக உள்ளது", "ta"),
        # Languages without a list are not taken for their neighbours.
        ("El govern va anunciar ahir noves mesures econòmiques", None),
        ("Guvernul a anunțat ieri noi măsuri economice în țară.", None),
        ("Regeringen presenterade i går nya ekonomiska åtgärder för landet.", None),
        ("A kormány tegnap új gazdasági intézkedéseket jelentett be.", None),
        ("Vláda včera oznámila nová hospodářská opatření a lidé se bouří.", None),
        ("xyzzy plugh", None),
        ("12345", None),
        ("", None),
    ],
)
def test_a_language_is_known_by_its_script_or_its_stop_words(text: str, code: str | None) -> None:
    assert guess(text) == code


def test_the_words_of_the_subject_lose_articles_and_possessives() -> None:
    assert content_words("L’énergie d'un panneau n'est pas chère", "fr") == ["énergie", "panneau", "chère"]
    assert content_words("The bee's honey: don't we'll it's well-known", "en") == [
        "bee",
        "honey",
        "well-known",
    ]


def test_keywords_are_phrases_and_each_subject_is_named_once() -> None:
    text = (
        "Our company launched a new electric bike last spring. The electric bikes have a range of 120"
        " kilometres. Customers love the quiet motor, and the battery charges in two hours."
    )
    found = keywords(text, "en", 5)
    assert found[0] in {"new electric bike", "electric bikes"}
    assert {"customers love", "quiet motor", "battery charges"} <= {*keywords(text, "en", 10)}
    assert len(found) == 5
    assert sum("bike" in phrase for phrase in keywords(text, "en", 10)) == 1


def test_in_an_unknown_language_the_frequent_words_are_keywords() -> None:
    assert keywords("miód pszczoły miód kwiaty, miód", None, 2)[0] == "miód"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Mr. Smith met Dr. Jones. It rained.", ["Mr. Smith met Dr. Jones.", "It rained."]),
        ("Das kostet z.B. 3,50 Euro. Gut!", ["Das kostet z.B. 3,50 Euro.", "Gut!"]),
        ("今日は良い天気です。明日は雨です。", ["今日は良い天気です。", "明日は雨です。"]),
        ("She said “Stop!” Then\nshe left", ["She said “Stop!”", "Then she left"]),
        ("A title\n\nOne. Two?", ["A title", "One.", "Two?"]),
        ("¿Qué tal? ¡Hola!", ["¿Qué tal?", "¡Hola!"]),
        ("Version 2.5 is out", ["Version 2.5 is out"]),
        (" \n\n ", []),
    ],
)
def test_sentences_end_at_their_punctuation_and_not_at_abbreviations(text: str, found: list[str]) -> None:
    assert sentences(text) == found
