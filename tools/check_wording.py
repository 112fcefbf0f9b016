"""Find phrases that make texts hard to read, and suggest what to write instead.

    python tools/check_wording.py [PATH …]

Without a path it reads every tracked text file. The exit code is 1 if a phrase was found.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Texts of others, test data, migrations (which never change), and a preset whose policy must keep its name.
SKIPPED = re.compile(
    r"^(LICENSE|NOTICE|requirements\.lock|tools/check_wording\.py|sql/presets/realtime_progress\.sql)$"
    r"|^sql/migrations/|/golden|stopwords|/fonts/|\.jpg$"
)

# Pattern, in any case of letters -> what to write instead.
PHRASES = {
    # At the end of a phrase: "a thread of its own", but not "users of their own project".
    r"\bof (its|their|one's|his|our|my|your) own\b"
    r"(?! (?!(and|or|at|as|in|on|for|that|which|with|when|where)\b)[a-z])": "'its own …', 'a separate …'",
    r"\b(who|whom|what)ever\b": "'anybody who', 'any', 'all'",
    r"\bfor want of\b": "'because there is no'",
    r"\bbe it (that|by|as)\b": "'even if', 'whether'",
    r"\b(is|are|was|were) wanted\b": "'is needed', 'is requested', 'is expected'",
    r"\bto be had\b|\bcan't be had\b": "'available'",
    r"\btold\b": "'reported', 'set', 'called with', 'distinguished'",
    r"\bneedn't\b": "'need not', 'does not have to'",
    r"\bsees? to it\b": "the verb itself",
    r"\bbut for\b": "'except'",
    r", for (it|they|we|there|nobody|nothing|this|that) ": "', because …'",
    r"\bwhat becomes of\b|\bbecomes of\b": "'what happens to'",
    r"\bin good order\b": "'cleanly'",
    r"\bhears? of\b|\bheard of\b": "'receives', 'learns of'",
    r"\banswers (the|a|an|how|which|what|whether|None|True|False|it|its|nothing|with)\b": "'returns', 'responds with'",
    r"\b(?-i:Of) (a|an|the|what|each|these|those|all|it|them)\b": "the subject first",
    r"\bthe latest news\b|\bas good as\b|\bsayable\b": "the field's term",
    r"\b(hitherto|thereof|therein|wherein|whereof|hereby|thence|whence|lest)\b": "a plain word",
    r'"""(What|How|Where|Which|Who|Whom|Whose|Why)\b': "an imperative sentence: 'Return the …', 'Run the …'",
    r'"""See ': "an imperative sentence",
}
PATTERNS = {re.compile(pattern, re.IGNORECASE): instead for pattern, instead in PHRASES.items()}


def tracked() -> list[str]:
    """Return the tracked files that exist, relative to the root."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


def findings(name: str) -> list[str]:
    """Return one line for each phrase found in a file; none for a file that is not text."""
    try:
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return []
    return [
        f"{name}:{number}: '{found[0]}'; write {instead}"
        for number, line in enumerate(lines, 1)
        for pattern, instead in PATTERNS.items()
        for found in pattern.finditer(line)
    ]


def main(paths: list[str]) -> int:
    """Print what is found below the paths, and return the exit code."""
    names = [
        name
        for name in tracked()
        if not paths or any(name == path or name.startswith(f"{path}/") for path in paths)
    ]
    found = [line for name in names if not SKIPPED.search(name) for line in findings(name)]
    sys.stdout.write("".join(f"{line}\n" for line in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main([path.rstrip("/") for path in sys.argv[1:]]))
