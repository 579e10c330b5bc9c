"""A real Chromium on the board's page, and what a test reads off it.

The browser is the one of `python -m tapeline_local.setup.browser`, or the one that CHROMIUM names; without any, the
tests that ask for it are skipped and say so.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright
from support import eventually
from tapeline_local import paths
from tapeline_local.setup import browser

PICTURES = paths.BUILD / "board"
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
# Long tasks, as the browser itself reports them: https://w3c.github.io/longtasks/
_WATCH_TASKS = """
window.longTasks = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.longTasks.push(entry.duration);
}).observe({ type: "longtask", buffered: true });
"""
# Several colours on every canvas that is more than an axis' corner.
_COLOURS = """(canvases) => canvases.filter((c) => c.width > 40 && c.height > 40).map((canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const seen = new Set();
  for (let i = 0; i < data.length; i += 4) {
    if (data[i + 3]) seen.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
  }
  return seen.size;
})"""


_LATER = re.compile(r"Failed to load resource: .*status of 50[34]")


@dataclass
class Watched:
    """A page, and everything it complained of."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def own_complaints(self) -> list[str]:
        """Return what it complained of, but for answers of "later" from the board, which the browser logs by itself."""
        return [text for text in self.complaints if not _LATER.search(text)]

    def ready(self, timeout_s: float = 60.0) -> "Watched":
        """Wait until figures of all kinds are there."""
        has = self.page.evaluate
        check = """() => document.querySelectorAll(".watch-row").length > 0
          && document.querySelectorAll(".view[data-mode=empty]").length === 0
          && document.querySelectorAll(".view[data-mode]").length === 6
          && document.querySelector(".legend[data-pane=price]")?.textContent !== ""
          && document.querySelector(".reconciliation")?.dataset.reconciled !== undefined
          && document.querySelectorAll(".tape-rows tbody tr").length > 0"""
        eventually(lambda: has(check), "the page shows figures of all kinds", timeout_s)
        return self

    def table(self, view: str) -> list[list[str]]:
        """Return the figures of a view as exact values, `data-value` of each cell."""
        rows = f'[data-view="{view}"] tbody tr'
        read = "(rows) => rows.map((row) => [...row.cells].map((cell) => cell.dataset.value ?? ''))"
        return self.page.eval_on_selector_all(rows, read)

    def colours(self, selector: str) -> list[int]:
        """Return how many colours each canvas below holds."""
        return self.page.eval_on_selector_all(f"{selector} canvas", _COLOURS)

    @property
    def address(self) -> str:
        """What the page itself says; Playwright hears of a change a moment later."""
        return str(self.page.evaluate("location.href"))

    def painted(self) -> None:
        """Wait until the chart is: legends are written first, canvases with the next frame."""
        eventually(lambda: max(self.colours(".chart"), default=0) > 5, "the chart is painted")

    def texts(self, selector: str) -> list[str]:
        return self.page.eval_on_selector_all(selector, "(found) => found.map((one) => one.textContent)")

    def picture(self, name: str) -> Path:
        PICTURES.mkdir(parents=True, exist_ok=True)
        path = PICTURES / f"{name}.png"
        self.page.screenshot(path=path, full_page=True)
        return path


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser; skip the test where there is none."""
    found = browser.find()
    if found is None:
        pytest.skip("no Chromium here: run `python -m tapeline_local.setup.browser`, or name one in CHROMIUM")
    # As root there is no sandbox; what is looked at is our own page, and nothing else can be reached.
    arguments = ["--no-sandbox", "--disable-gpu", "--enable-precise-memory-info"]
    env: dict[str, Any] = {**os.environ, **found.env, "HOME": "/tmp"}
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=found.program, env=env, args=arguments)
        try:
            yield started
        finally:
            started.close()


@contextlib.contextmanager
def watching(started: Browser, url: str, **context: Any) -> Iterator[Watched]:
    """Open a page; `context` as of Browser.new_context, such as locale or color_scheme."""
    choices = {"viewport": WIDE, "locale": "en-GB", "color_scheme": "light"} | context
    with started.new_context(**choices) as made:
        page = made.new_page()
        page.add_init_script(_WATCH_TASKS)
        watched = Watched(page)
        page.on("console", watched.on_console)
        page.on("pageerror", lambda error: watched.complaints.append(str(error)))
        page.goto(url)
        yield watched
