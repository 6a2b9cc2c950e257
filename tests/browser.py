"""A headless Chromium for tests of pages, and a page opened in it that remembers what went wrong."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
LOCAL = ("file:", "data:", "blob:")


@dataclass
class Opened:
    """A page, and what it said, failed at and asked for."""

    page: Any
    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @property
    def left(self) -> list[str]:
        """Requests that would leave the machine."""
        return [url for url in self.requests if not url.startswith(LOCAL)]

    def drawn(self) -> None:
        """Wait until all that was asked for is drawn and measured."""
        self.page.evaluate("meeum.drawn()")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A browser of playwright's; skips where there is none."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
    with api.sync_playwright() as playwright:
        path = next(filter(None, map(shutil.which, NAMES)), None)
        if path is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed, nor playwright's own")
        try:
            found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        except api.Error as problem:  # libraries of the system that it needs, say
            pytest.skip(f"the browser does not start here: {problem.message.splitlines()[0]}")
        yield found
        found.close()


def open_page(browser: Any, where: Path | str, *, width: int = 1290, height: int = 800) -> Opened:
    """A page by its file or address, with everything it complains about and asks for."""
    page = browser.new_page(viewport={"width": width, "height": height})
    opened = Opened(page)
    page.on("console", lambda said: opened.problems.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: opened.problems.append(str(error)))
    page.on("request", lambda request: opened.requests.append(request.url))
    page.goto(where.as_uri() if isinstance(where, Path) else where)
    return opened
