"""Print which share of the lines of each package the tests ran. It reads the output of `coverage json -o -`."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import PurePath


def main() -> None:
    report = json.load(sys.stdin)
    lines, ran = Counter[str](), Counter[str]()
    for name, file in report["files"].items():
        package = "/".join(PurePath(name).parent.parts[:2])
        for group in (package, "total"):
            lines[group] += file["summary"]["num_statements"]
            ran[group] += file["summary"]["covered_lines"]
    for group in [*sorted(lines.keys() - {"total"}), "total"]:
        share = ran[group] / max(1, lines[group])
        print(f"{group:<22} {ran[group]:>6} of {lines[group]:>6} lines  {share:>6.1%}")


if __name__ == "__main__":
    main()
