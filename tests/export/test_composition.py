"""The composition of a film: which clip is the ground when, and which overlays lie over it. A frame lasts a second."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from handlers.export.graph.composition import Composition, Overlay, Shot, compose
from handlers.export.graph.geometry import plain
from handlers.export.model import Curve, Film, Key, Picture, Placement, Style, Text


def picture(name: str, first: int, end: int) -> Picture:
    return Picture(name, Fraction(first), Fraction(end - first), name)


def title(name: str, first: int, end: int) -> Text:
    return Text(name, Fraction(first), Fraction(end - first), name, Style("any", 10))


def whole(*clips: Picture | Text, length: int) -> Composition:
    """Names in capitals fill the frame unless they fade, `letterbox` has bars beside it, all others have alpha."""
    film = Film(16, 16, Fraction(1), Fraction(length), (0, 0, 0), clips, ())
    return compose(
        film,
        fills=lambda clip: clip.source.isupper() and plain(clip.placement),
        grounds=lambda clip: clip.source.isupper() or clip.source == "letterbox",
    )


def composed(*clips: Picture | Text, length: int) -> tuple[list[Shot], list[Overlay]]:
    made = whole(*clips, length=length)
    return list(made.shots), list(made.overlays)


def test_clips_in_a_row_need_no_overlay() -> None:
    a, b = picture("A", 0, 3), picture("B", 3, 5)

    assert composed(a, b, length=5) == ([Shot(a, 0, 3), Shot(b, 3, 5)], [])


def test_gaps_are_background() -> None:
    a = picture("A", 1, 3)

    assert composed(a, length=4)[0] == [Shot(None, 0, 1), Shot(a, 1, 3), Shot(None, 3, 4)]


def test_what_fills_the_frame_hides_what_is_beneath() -> None:
    below, above = picture("BELOW", 0, 9), picture("ABOVE", 3, 5)
    shots, overlays = composed(below, above, length=9)

    assert shots == [Shot(below, 0, 3), Shot(above, 3, 5), Shot(below, 5, 9)]
    assert overlays == []


def test_a_clip_that_fades_is_the_ground_while_it_is_wholly_there() -> None:
    opacity = Curve(
        (Key(Fraction(1), 0.0), Key(Fraction(3), 1.0), Key(Fraction(6), 1.0), Key(Fraction(8), 0.5))
    )
    below, clip = picture("BELOW", 0, 12), picture("ABOVE", 1, 11)
    fading = replace(clip, placement=Placement(opacity=opacity))
    shots, overlays = composed(below, fading, length=12)

    assert shots == [Shot(below, 0, 4), Shot(clip, 4, 7), Shot(below, 7, 12)]
    assert overlays == [Overlay(fading, ((1, 4), (7, 11)))]


def test_an_overlay_rests_while_something_above_it_fills_the_frame() -> None:
    a, logo, b = picture("A", 0, 9), picture("logo", 1, 8), picture("B", 3, 5)
    shots, overlays = composed(a, logo, b, length=9)

    assert [shot.clip for shot in shots] == [a, b, a]
    assert overlays == [Overlay(logo, ((1, 3), (5, 8)))]


def test_overlays_keep_their_order_and_cut_nothing() -> None:
    a, low, high, words = picture("A", 0, 9), picture("low", 1, 8), picture("high", 2, 4), title("t", 0, 9)
    shots, overlays = composed(a, low, high, words, length=9)

    assert shots == [Shot(a, 0, 9)]
    assert overlays == [Overlay(low, ((1, 8),)), Overlay(high, ((2, 4),)), Overlay(words, ((0, 9),))]


def test_a_picture_with_bars_is_the_ground_only_where_nothing_is_beneath() -> None:
    a, wide = picture("A", 0, 2), picture("letterbox", 0, 4)
    shots, overlays = composed(a, wide, length=4)

    assert shots == [Shot(a, 0, 2), Shot(wide, 2, 4)]
    assert overlays == [Overlay(wide, ((0, 2),))]


def test_clips_that_are_shorter_than_a_frame_or_come_too_late_are_not_seen() -> None:
    blink = Picture("BLINK", Fraction(1), Fraction(1, 4), "BLINK")

    assert composed(blink, picture("LATE", 7, 9), length=3) == ([Shot(None, 0, 3)], [])


def test_a_part_shows_what_the_whole_shows_in_these_frames() -> None:
    a, logo, b = picture("A", 0, 9), picture("logo", 1, 8), picture("B", 3, 5)
    made = whole(a, logo, b, length=9)
    part = made.part(4, 7)

    assert made.cuts == [0, 1, 3, 5, 8, 9]
    assert part.shots == (Shot(b, 4, 5), Shot(a, 5, 7))
    assert part.overlays == (Overlay(logo, ((5, 7),)),)
    assert made.part(8, 9).overlays == ()
