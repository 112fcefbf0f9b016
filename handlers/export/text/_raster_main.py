"""Draw the texts of a film for `handlers.export.render.texts`, and print a line of JSON for each.

Run by path: `python -I _raster_main.py REQUEST`. REQUEST is a pickle of the service: the texts with the paths of
their pictures, the size of the film, the budget, and the user's home, where fonts may be installed. Of this package it
loads only `handlers.export.clips` and `handlers.export.text`, because the packages above would import everything.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

EXPORT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Canvas:
    """The size of a film in pixels."""

    width: int
    height: int


def main() -> None:
    for name, folder in (("handlers", EXPORT.parent), ("handlers.export", EXPORT)):
        package = ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    from handlers.export.text import Budget, TextError, draw

    request = pickle.loads(Path(sys.argv[1]).read_bytes())  # noqa: S301 - the service wrote it
    if request["home"]:
        os.environ["HOME"] = request["home"]
    canvas, budget = Canvas(*request["size"]), Budget(**request["budget"])
    for text, path in request["texts"]:
        try:
            raster = draw(text, canvas, Path(path), budget=budget)
        except TextError as error:
            answer(error=str(error))
            return
        if raster is None:
            answer()
        else:
            answer(pixels=raster.pixels, width=raster.width, height=raster.height, notes=raster.notes)


def answer(**fields: object) -> None:
    print(json.dumps(fields), flush=True)  # noqa: T201 - read by the parent


if __name__ == "__main__":
    main()
