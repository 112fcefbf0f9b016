"""The commands that have to do with what browsers may."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from listener.cli import main

from .project import Project

pytestmark = pytest.mark.parametrize("template_project", ["older"], indirect=True)

THUMBS = """
create table thumbs (id int generated always as identity primary key, path text, thumbnail_url text, progress int,
  status text not null default 'queued' check (status in ('queued', 'processing', 'completed', 'failed')));
grant all on thumbs to anon, authenticated;
"""


def listener(project: Project, *arguments: str) -> str:
    result = CliRunner().invoke(main, [*arguments, "--database-url", project.url], prog_name="listener")
    assert result.exit_code == 0, result.output
    return result.output


def test_attach_guards_and_unguards(project: Project) -> None:
    project.script(THUMBS)
    shown = listener(project, "attach", "thumbs", "thumbs", "--guard-columns", "thumbnail_url")
    assert "  guarded  status, progress, thumbnail_url\n" in shown
    assert "alter table public.thumbs enable row level security;" in shown
    insert = "insert into thumbs (thumbnail_url) values ('https://evil')"
    assert project.run_as("anon", None, insert) == "42501"
    assert json.loads(listener(project, "attach", "thumbs", "thumbs", "--guard", "--json"))["guard"][
        "columns"
    ] == [
        "progress",
        "thumbnail_url",
    ]
    listener(project, "attach", "thumbs", "thumbs", "--guard", "--dry-run")
    listener(project, "attach", "thumbs", "thumbs", "--no-guard")
    assert project.run_as("anon", None, insert) == "INSERT 0 1"
