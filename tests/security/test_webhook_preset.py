"""The database calls the service: what it sends is understood, and nothing that goes wrong reaches the user."""

from __future__ import annotations

import json

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from listener.config import Settings
from listener.database import migrate
from listener.web import webhook

from .project import Project

pytestmark = pytest.mark.parametrize("template_project", ["newer"], indirect=True)

URL = "https://jobs.example.com/webhook/new-job"
SECRET = "a-secret-of-some-length"
INSERT = "insert into jobs (id) select n from generate_series({}) as n"

# With the signature that the extension documents.
PG_NET = """
create schema net;
create table net.calls (url text, body jsonb, params jsonb, headers jsonb, timeout_milliseconds int);
create function net.http_post(url text, body jsonb default '{}', params jsonb default '{}',
  headers jsonb default '{"Content-Type": "application/json"}', timeout_milliseconds int default 2000) returns bigint
language sql as $$ insert into net.calls values (url, body, params, headers, timeout_milliseconds) returning 1 $$;
"""
VAULT = """
create schema vault;
create table vault.decrypted_secrets (name text unique, decrypted_secret text);
"""


@pytest.fixture
def jobs(project: Project) -> Project:
    project.script(
        "create table jobs (id int primary key, status text not null default 'queued'"
        " check (status in ('queued', 'processing', 'completed', 'failed')));"
        "grant insert on jobs to authenticated; select listener.attach('jobs', 'jobs')"
    )
    return project


@pytest.fixture
def called(jobs: Project) -> Project:
    """The preset, with its address and secret in the Vault."""
    jobs.script(PG_NET + VAULT)
    jobs.sql(
        "insert into vault.decrypted_secrets values ('listener_webhook_url', $1), ('listener_webhook_secret', $2)",
        URL,
        SECRET,
    )
    for _ in range(2):
        jobs.script(migrate.preset("webhook"))
    return jobs


def test_a_statement_makes_one_call_that_the_service_understands(called: Project) -> None:
    assert called.run_as("authenticated", None, INSERT.format("1, 5")) == "INSERT 0 5"
    assert called.sql("select count(*) from net.calls") == 1
    call = json.loads(called.sql("select to_jsonb(c)::text from net.calls as c"))
    assert (call["url"], call["params"], call["timeout_milliseconds"]) == (URL, {}, 10_000)

    woken: list[None] = []
    app = FastAPI()
    app.include_router(webhook.routes(Settings.load(webhook_secret=SECRET), lambda: woken.append(None)))
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app))
    answer = called.run(client.post(URL, content=json.dumps(call["body"]), headers=call["headers"]))
    assert answer.status_code == 202

    called.sql("delete from net.calls")
    called.sql("insert into jobs values (9, 'completed')")
    assert called.sql("select count(*) from net.calls") == 0, "no job, no call"


def test_whatever_goes_wrong_the_insert_and_its_job_stand(called: Project) -> None:
    called.script("alter table net.calls add check (false) not valid")
    assert called.run_as("authenticated", None, INSERT.format("1, 1")) == "INSERT 0 1"
    called.script("drop function net.http_post")
    assert called.run_as("authenticated", None, INSERT.format("2, 2")) == "INSERT 0 1"
    called.script("drop schema net cascade; drop schema vault cascade")
    assert called.run_as("authenticated", None, INSERT.format("3, 3")) == "INSERT 0 1"
    assert called.sql("select count(*) from listener.delivery") == 3


def test_what_is_missing_is_said_before_anything_is_changed(jobs: Project) -> None:
    for ready, sentence in (
        ("select 1", "the extension pg_net is missing"),
        (PG_NET, "no address or no secret yet"),
        (VAULT, "no address or no secret yet"),
    ):
        jobs.script(ready)
        with pytest.raises(asyncpg.RaiseError, match=sentence) as refusal:
            jobs.script(migrate.preset("webhook"))
        assert jobs.sql("select to_regprocedure('listener.call_webhook()')") is None
    assert "vault.create_secret" in (refusal.value.hint or "")


def test_without_a_vault_a_table_that_no_browser_reads_will_do(jobs: Project) -> None:
    jobs.script(PG_NET)
    jobs.script(f"create table listener.webhook as select '{URL}' as url, '{SECRET}' as secret")
    jobs.script(migrate.preset("webhook"))
    jobs.sql(INSERT.format("1, 1"))
    assert SECRET in jobs.sql("select headers::text from net.calls")
    for role in ("anon", "authenticated"):
        assert jobs.run_as(role, None, "select * from listener.webhook") == "42501"
        assert jobs.run_as(role, None, "select listener.webhook_target()") == "42501"
