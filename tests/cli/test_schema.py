"""migrate, attach, detach, adopt."""

from __future__ import annotations

import json

from tests.cli.conftest import THUMBS, Listener, Sql, words


def test_migrate_says_what_it_applied_and_then_that_nothing_is_left(
    listener: Listener, bare_database: str
) -> None:
    first = listener("migrate", "--database-url", bare_database)
    assert first.exit_code == 0
    assert "migrations/0001_schema.sql" in first.output
    assert listener("migrate", "--database-url", bare_database).output == "the schema is up to date\n"
    again = listener("migrate", "--database-url", bare_database, "--json")
    assert json.loads(again.output) == {"applied": []}


def test_migrate_prints_a_script_without_any_database(listener: Listener) -> None:
    script = listener("migrate", "--print").output
    assert script.startswith("begin;")
    assert script.endswith("commit;\n")


def test_attach_says_what_it_chose(listener: Listener, sql: Sql) -> None:
    sql(THUMBS)
    sql("insert into thumbs (status) values ('queued'), ('queued'), ('processing')")
    result = listener("attach", "thumbs", "t", "--max-attempts", "5", "--backoff", "1min", "--message", "")
    shown = words(result.output)
    assert result.exit_code == 0, result.output
    assert "attached public.thumbs" in shown
    assert "status status: queued → processing → completed | failed" in shown
    assert "columns error_message (error), progress, updated_at" in shown
    assert "found 2 waiting, 1 stuck in a running word" in shown
    assert "listener adopt t --older 10min" in shown
    assert sql("select (max_attempts, backoff) = (5, interval '1 min') from listener.queue")


def test_attach_dry_run_changes_nothing(listener: Listener, sql: Sql) -> None:
    sql(THUMBS)
    report = json.loads(listener("attach", "thumbs", "t", "--dry-run", "--json").output)
    assert report["attached"] is False
    assert report["words"]["ready"] == "queued"
    assert sql("select count(*) from listener.attachment") == 0


def test_attach_takes_words_stages_and_kinds(listener: Listener, sql: Sql) -> None:
    sql("create table operations (id text primary key, state text not null, metadata jsonb)")
    result = listener(
        *("attach", "operations", "ops", "--words", "ready=NEW,done=END,failed=BAD", "--stages", "ONE,TWO"),
        *("--kind", "metadata->>type", "--kinds", "render,analysis", "--wake", "none"),
    )
    assert result.exit_code == 0, result.output
    assert "queues ops/render, ops/analysis" in words(result.output)
    assert "NEW → ONE → TWO → END | BAD" in result.output
    assert sql("select wake from listener.attachment") == "none"


def test_a_table_that_cant_be_attached_gets_one_sentence_and_a_hint(listener: Listener, sql: Sql) -> None:
    sql("create view glance as select 1 as id, 'queued' as status")
    result = listener("attach", "glance", "g")
    assert result.exit_code == 1
    assert (
        result.stderr
        == "error: public.glance can't be attached: it is a view\nhint: Attach an ordinary table.\n"
    )
    assert listener("attach", "nowhere", "n").stderr == 'error: relation "nowhere" does not exist\n'


def test_attach_wants_a_table_and_a_queue_or_a_preset(listener: Listener, configured: str) -> None:
    assert listener("attach", "thumbs").exit_code == 2
    assert listener("attach", "thumbs", "t", "--preset", "export_jobs").exit_code == 2
    assert listener("attach", "--preset", "export_jobs", "--status", "state").exit_code == 2


def test_presets(listener: Listener, sql: Sql) -> None:
    too_soon = listener("attach", "--preset", "export_jobs")
    assert too_soon.stderr.endswith(
        "hint: On your own Postgres, run first: listener attach --preset supabase_shim\n"
    )
    assert listener("attach", "--preset", "supabase_shim").exit_code == 0
    tried = json.loads(listener("attach", "--preset", "export_jobs", "--dry-run", "--json").output)
    assert tried == {"preset": "export_jobs", "attached": False, "queues": ["export"]}
    assert sql("select to_regclass('export_jobs')") is None
    assert "queues: export" in listener("attach", "--preset", "export_jobs").output
    unknown = listener("attach", "--preset", "nix")
    assert (unknown.exit_code, "the presets are briefs, " in unknown.stderr) == (1, True)


def test_detach(listener: Listener, sql: Sql, thumbs: str) -> None:
    sql("insert into thumbs default values")
    assert listener("detach", thumbs).output == "detached thumbs; 1 unfinished job dropped\n"
    again = listener("detach", thumbs)
    assert (again.exit_code, again.stderr[:35]) == (1, "error: no table is attached as 'thu")
    sql("select listener.attach('thumbs', 'thumbs')")
    assert json.loads(listener("detach", thumbs, "--json").output) == {"queue": "thumbs", "deliveries": 1}


def test_adopt_takes_over_only_what_is_old_enough(listener: Listener, sql: Sql, thumbs: str) -> None:
    sql(
        "insert into thumbs (status, updated_at) values ('processing', now() - interval '1 h'), ('processing', now())"
    )
    assert listener("adopt", thumbs).output == "adopted 1 job\n"
    assert json.loads(listener("adopt", thumbs, "--older", "0", "--json").output) == {
        "queue": thumbs,
        "adopted": 1,
    }
    assert listener("adopt", thumbs, "--older", "soon").exit_code == 2
    assert "The queues are thumbs." in listener("adopt", "nix").stderr
