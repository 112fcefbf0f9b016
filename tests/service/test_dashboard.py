"""The dashboard's page, in a real browser."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import asyncpg
import pytest
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from listener import Fail, Job
from tests.support.browser import chromium_at, console
from tests.support.harness import Table, app_of, serving_with

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

IMAGE = "<img src=x onerror=alert(1)>"
TOKEN = "a-token-of-some-length"

BROKEN = "update listener.delivery set state = 'broken', error = 'no such column' where job_key = 'stuck'"
HIDDEN = """
Object.defineProperty(document, 'hidden', { value: arguments[0], configurable: true })
document.dispatchEvent(new Event('visibilitychange'))
"""
VIOLATIONS = "window.violations = []; addEventListener('securitypolicyviolation', (e) => violations.push(e.blockedURI))"


@pytest.fixture
def chromium(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Chrome]:
    monkeypatch.setenv("HOME", str(tmp_path))
    with chromium_at(tmp_path) as driver:
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": VIOLATIONS})
        yield driver


class Page:
    """A person uses the page."""

    def __init__(self, chromium: Chrome, address: str) -> None:
        self.chromium = chromium
        self.address = address
        self._patience = WebDriverWait(
            chromium, 30, 0.1, [NoSuchElementException, StaleElementReferenceException]
        )

    def until(self, true: Callable[[], Any]) -> Any:
        return self._patience.until(lambda _: true())

    def text(self, selector: str) -> str:
        return self.chromium.find_element(By.CSS_SELECTOR, selector).text

    def says(self, selector: str, text: str) -> None:
        self.until(lambda: text in self.text(selector))

    def percent(self) -> float:
        bar = self.chromium.find_element(By.CSS_SELECTOR, "#active .bar")
        return float(bar.get_attribute("aria-valuenow") or 0)

    def look(self) -> None:
        """A bar moves, a job is overdue and says why, one is opened by its key, a filter holds in the address."""
        self.chromium.get(self.address)
        self.says("#sign-in", "API_TOKEN as `Authorization: Bearer …`")
        self.chromium.find_element(By.NAME, "token").send_keys(TOKEN, Keys.ENTER)
        self.says("#health", "healthy")
        self.until(lambda: self.percent() >= 2)
        before = self.percent()
        self.until(lambda: self.percent() > before)
        self.says("#overdue", "the database refuses to change its row")
        self.says("#overdue", "listener requeue jobs stuck")
        self.says("#ended", IMAGE)
        self.chromium.execute_script(HIDDEN, True)
        self.says("#freshness", "paused")
        self.chromium.execute_script(HIDDEN, False)
        self.says("#freshness", "live")

        failed = next(
            link
            for link in self.chromium.find_elements(By.CSS_SELECTOR, "#ended a.key")
            if link.text == IMAGE
        )
        failed.send_keys(Keys.ENTER)
        self.says("#job", "attempt 1: failed")
        self.says("#job", f"no use: {IMAGE}")
        self.says("#job", f"listener requeue jobs '{IMAGE}'")
        self.chromium.find_element(By.CSS_SELECTOR, "#job button").send_keys(Keys.ESCAPE)
        self.until(lambda: not self.chromium.find_element(By.ID, "job").is_displayed())

        self.chromium.get(f'{self.address}#job=["jobs","film"]')
        self.says("#job", "attempt 1: running")
        shown = self.text("#job .percent-now")
        self.until(lambda: self.text("#job .percent-now") != shown)
        self.chromium.find_element(By.CSS_SELECTOR, "#job button").click()
        self.until(lambda: "job=" not in self.chromium.current_url)

        self.chromium.find_element(By.NAME, "text").send_keys("nothing like it")
        self.says("#active", "Nothing matches the filter.")
        assert self.chromium.current_url.endswith("#text=nothing+like+it")
        self.chromium.refresh()
        self.says("#active", "Nothing matches the filter.")

    def loses(self) -> None:
        """The service is gone: the page says so, and how old its numbers are."""
        self.says("#health", "not connected")
        self.says("#freshness", "updated")
        assert "stale" in str(self.chromium.find_element(By.ID, "all").get_attribute("class"))


async def test_somebody_sees_what_goes_on_and_why_it_does_not(
    database: str, db: asyncpg.Connection, chromium: Chrome
) -> None:
    async def grow(job: Job) -> None:
        if job.key == IMAGE:
            raise Fail(f"no use: {IMAGE}")
        for percent in range(100):
            job.progress(percent, "renders")
            await anyio.sleep(0.5)

    await Table(db).create()
    here = {"database_url": database, "enable_health_check": True, "host": "0.0.0.0", "port": 0}
    async with serving_with(app_of(grow, concurrency=2), **here, api_token=TOKEN) as service:
        await db.execute(
            "begin; insert into jobs (id) values ('film'), ('stuck'), ('<img src=x onerror=alert(1)>');"
            f"{BROKEN}; commit"
        )
        page = Page(chromium, f"http://127.0.0.1:{service.port}/dashboard")
        await asyncio.to_thread(page.look)
    await asyncio.to_thread(page.loses)

    assert chromium.execute_script("return violations") == []
    assert chromium.find_elements(By.CSS_SELECTOR, "main img, dialog img") == []
    refused = [one for one in console(chromium) if one["level"] == "SEVERE"]
    # A browser notes what was refused or is gone, independent of the page.
    assert [one for one in refused if "401" not in one["message"] and "ERR_" not in one["message"]] == []
