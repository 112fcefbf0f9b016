"""Font families that editors offer, and the families that look like them, for when one is not installed."""

from __future__ import annotations

# Families whose letters are as wide as the original's, so that lines break at the same words.
TWINS = {
    "arial": ("liberation sans", "arimo", "helvetica"),
    "helvetica": ("liberation sans", "arimo", "arial"),
    "times": ("liberation serif", "tinos", "times new roman"),
    "times new roman": ("liberation serif", "tinos", "times"),
    "courier": ("liberation mono", "cousine", "courier new"),
    "courier new": ("liberation mono", "cousine", "courier"),
    "georgia": ("gelasio",),
    "calibri": ("carlito",),
    "cambria": ("caladea",),
    "verdana": ("dejavu sans", "bitstream vera sans"),
}

# The families of a class, for when neither the family nor a twin is installed.
_CLASSES = {
    "sans": "inter|roboto|open sans|noto sans|liberation sans|arimo|arial|helvetica|dejavu sans",
    "serif": "noto serif|liberation serif|tinos|times new roman|georgia|dejavu serif",
    "mono": "roboto mono|noto sans mono|liberation mono|cousine|courier new|dejavu sans mono",
    "display": "bebas neue|oswald|anton|league gothic|impact|dejavu sans condensed|liberation sans narrow",
    "round": "nunito|quicksand|varela round|comfortaa|fredoka|poppins|montserrat",
    "hand": "caveat|dancing script|comic neue|comic sans ms|pacifico|patrick hand",
}

_MEMBERS = {
    "serif": "abril fatface|alegreya|arvo|bitter|bodoni moda|cardo|cinzel|cormorant|cormorant garamond|"
    "crimson pro|crimson text|dm serif display|dm serif text|domine|eb garamond|fraunces|garamond|"
    "instrument serif|josefin slab|libre baskerville|libre caslon text|lora|merriweather|neuton|"
    "old standard tt|palatino|playfair|playfair display|prata|pt serif|roboto serif|roboto slab|rokkitt|"
    "slabo 27px|source serif 4|source serif pro|spectral|vollkorn|yeseva one|zilla slab",
    "mono": "anonymous pro|consolas|dm mono|fira code|fira mono|geist mono|ibm plex mono|inconsolata|"
    "jetbrains mono|menlo|monaco|overpass mono|pt mono|share tech mono|source code pro|space mono|"
    "special elite|ubuntu mono|vt323|press start 2p",
    "display": "alfa slab one|anton|archivo black|archivo narrow|bangers|barlow condensed|bebas neue|"
    "big shoulders display|black ops one|bungee|fjalla one|francois one|impact|league gothic|league spartan|"
    "monoton|orbitron|oswald|passion one|pathway gothic one|righteous|roboto condensed|russo one|"
    "saira condensed|sigmar one|squada one|staatliches|teko|titan one|ultra|yanone kaffeesatz",
    "round": "baloo 2|chewy|comfortaa|dosis|fredoka|fredoka one|lilita one|luckiest guy|m plus rounded 1c|"
    "nunito|quicksand|sniglet|varela round",
    "hand": "amatic sc|architects daughter|brush script mt|caveat|comic neue|comic sans ms|cookie|courgette|"
    "covered by your grace|dancing script|gloria hallelujah|great vibes|handlee|homemade apple|"
    "indie flower|kalam|kaushan script|lobster|lobster two|marck script|pacifico|parisienne|"
    "patrick hand|permanent marker|rock salt|sacramento|satisfy|shadows into light|yellowtail",
}

_GENERIC = {
    "sans-serif": "sans",
    "system-ui": "sans",
    "ui-sans-serif": "sans",
    "serif": "serif",
    "ui-serif": "serif",
    "monospace": "mono",
    "ui-monospace": "mono",
    "cursive": "hand",
    "fantasy": "display",
    "ui-rounded": "round",
}

_BY_NAME = {name: kind for kind, names in _MEMBERS.items() for name in names.split("|")}


def is_generic(name: str) -> bool:
    """Tell whether a name stands for no family in particular, as CSS's sans-serif does."""
    return name in _GENERIC or not name


def relatives(name: str) -> tuple[str, ...]:
    """Return the families like this one, best first; all names are in lower case."""
    kind = _GENERIC.get(name) or _BY_NAME.get(name) or _guess(name)
    near = _CLASSES[kind] if kind in {"sans", "serif", "mono"} else f"{_CLASSES[kind]}|{_CLASSES['sans']}"
    return (*TWINS.get(name, ()), *near.split("|"))


def _guess(name: str) -> str:
    words = set(name.replace("-", " ").split())
    if words & {"mono", "code", "typewriter"}:
        return "mono"
    if words & {"script", "hand", "handwriting", "brush", "marker"}:
        return "hand"
    if words & {"condensed", "narrow", "display", "black", "compressed"} and "serif" not in words:
        return "display"
    return "serif" if words & {"serif", "slab", "garamond", "antiqua"} and "sans" not in words else "sans"
