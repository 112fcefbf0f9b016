"""Run Chromium, for tests marked `system`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver


@contextmanager
def chromium_at(home: Path) -> Iterator[webdriver.Chrome]:
    """Run Chromium with a profile in this folder until the block ends. HOME must name the same folder."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={home / 'browser'}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


def console(driver: webdriver.Chrome) -> list[dict[str, Any]]:
    """Return the entries of the browser's console since the last call, each with `level` and `message`."""
    entries: list[dict[str, Any]] = driver.execute("getLog", {"type": "browser"})["value"]
    return entries
