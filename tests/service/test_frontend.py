"""The example's page, in a real browser, with the real JavaScript client."""

from __future__ import annotations

import asyncio
import functools
import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.support.browser import chromium_at, console
from tests.support.processes import ROOT
from tests.support.standin.stack import Stack

from .process import Process

pytestmark = pytest.mark.system

FILES = ("index.html", "app.js", "package.json")

# What the page hears, beside what it shows.
LISTEN = """
window.heard = { rows: 0, news: 0 }
const { createClient } = window.supabase
window.supabase.createClient = (...settings) => {
  const client = createClient(...settings)
  const channel = client.channel.bind(client)
  client.channel = (...named) => {
    const made = channel(...named)
    const on = made.on.bind(made)
    made.on = (kind, filter, tell) => on(kind, filter, (said) => {
      if (kind === 'postgres_changes') window.heard.rows += 1
      if (kind === 'broadcast') window.heard.news += 1
      tell(said)
    })
    return made
  }
  return client
}
"""


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, with what it needs beside it."""
    folder = tmp_path_factory.mktemp("frontend")
    for name in FILES:
        shutil.copy(ROOT / "examples/frontend" / name, folder)
    subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=folder, check=True)
    return folder


@pytest.fixture
def address(installed: Path, project: Stack) -> Iterator[str]:
    """Serve the page with the project's address and key."""
    known = json.dumps({"url": project.url, "key": project.publishable_key})
    (installed / "config.js").write_text(f"window.config = {known}\n{LISTEN}")
    handler = functools.partial(QuietHandler, directory=installed)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def chromium(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Chrome]:
    monkeypatch.setenv("HOME", str(tmp_path))
    with chromium_at(tmp_path) as driver:
        yield driver


def export(chromium: Chrome, address: str) -> dict[str, object]:
    """Act as a user; return the final text of the page."""
    chromium.get(address)

    def fill(form: str, **values: str) -> None:
        for name, value in values.items():
            chromium.find_element(By.CSS_SELECTOR, f"#{form} [name={name}]").send_keys(value)
        chromium.find_element(By.CSS_SELECTOR, f"#{form} button").click()

    def says(selector: str, text: str) -> bool:
        return text in chromium.find_element(By.CSS_SELECTOR, selector).text

    patience = WebDriverWait(chromium, 45)
    fill("sign-in", email="someone@example.com", password="wrong")
    patience.until(lambda _: says("#problem", "Invalid login credentials"))
    chromium.refresh()
    fill("sign-in", email="someone@example.com", password="correct horse")
    patience.until(lambda _: chromium.find_element(By.ID, "export").is_displayed())
    fill("export", title="!")
    patience.until(lambda _: says("#status", "completed") or says("#problem", " "))
    playing = "const film = document.querySelector('video'); return film.currentTime > 0.5 && film.videoWidth"
    patience.until(lambda _: chromium.execute_script(playing))
    seen: dict[str, object] = chromium.execute_script(
        "const film = document.querySelector('video');"
        "return {...window.heard, width: film.videoWidth, seconds: Math.round(film.duration),"
        " percent: document.querySelector('progress').value}"
    )
    return seen


async def test_a_user_sees_their_film_grow_and_plays_it(
    project: Stack, user: str, owner: asyncpg.Connection, address: str, chromium: Chrome
) -> None:
    await owner.execute("update auth.users set encrypted_password = 'correct horse'")
    async with Process(project, PROGRESS_BROADCAST="50"):
        try:
            seen = await asyncio.to_thread(export, chromium, address)
        except Exception:
            print(console(chromium), chromium.page_source)
            raise
    assert (seen["width"], seen["seconds"], seen["percent"]) == (640, 4, 100)
    assert int(str(seen["rows"])) >= 2
    assert int(str(seen["news"])) >= 1
