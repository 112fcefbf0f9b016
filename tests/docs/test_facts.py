"""Pages agree with the code."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from listener.cli import COMMANDS

from .pages import PAGES, ROOT, blocks, name

README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))

    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_anchors_are_headings(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", page.read_text(encoding="utf-8"))

    assert [
        link for link in links if link[1] not in _anchors((page.parent / link[0]) if link[0] else page)
    ] == []


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^a-z0-9_ -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_lists_every_command() -> None:
    listed = re.findall(r"^\| `listener (\w+)", README, re.MULTILINE)

    assert listed == [command for section in COMMANDS.values() for command in section]


def test_the_readme_gives_a_reason_for_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = project["dependencies"] + project["optional-dependencies"]["embedded"]
    explained = re.findall(r"^\| ((?:`[a-z-]+`(?:, )?)+) \|", README, re.MULTILINE)

    assert sorted(re.findall(r"`([a-z-]+)`", " ".join(explained))) == sorted(
        re.split(r"[=<>]", dependency)[0] for dependency in needed
    )


def test_the_usual_names_of_columns_are_listed() -> None:
    describe = (ROOT / "sql/internals/describe.sql").read_text(encoding="utf-8")
    usual = re.search(r"usual constant jsonb := '(\{.*?\})';\s*suited", describe, re.DOTALL)
    page = (ROOT / "docs/attach.md").read_text(encoding="utf-8")

    assert usual
    for role, names in json.loads(usual[1]).items():
        assert f"| `{role}` | {', '.join(f'`{name}`' for name in names)} |" in page


def test_the_log_lines_on_the_page_of_railway_exist() -> None:
    page = (ROOT / "docs/railway.md").read_text(encoding="utf-8")
    quoted = re.findall(r"^\| `([^`]+?)(?: …)?` \|", page.partition("| The log says")[2], re.MULTILINE)
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "listener/engine").glob("*.py"))

    assert quoted
    assert [line for line in quoted if line not in code] == []


def test_the_map_names_what_exists() -> None:
    places = re.findall(r"`([\w./]+(?:\.(?:py|sql)|/))`", ARCHITECTURE)

    assert places
    assert [place for place in places if not (ROOT / place).exists()] == []


def test_the_diagram_shows_the_states_of_a_delivery() -> None:
    schema = (ROOT / "sql/migrations/0001_schema.sql").read_text(encoding="utf-8")
    check = re.search(r"state in \((.*?)\)", schema)
    (diagram,) = [block.text for block in blocks(ROOT / "ARCHITECTURE.md") if block.language == "mermaid"]

    assert check
    drawn = {word for pair in re.findall(r"(\w+) -->|--> (\w+)", diagram) for word in pair if word}
    assert drawn == set(re.findall(r"'(\w+)'", check[1]))
