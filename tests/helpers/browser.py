"""A headless Chromium for pages that are files; tests skip, saying why, where there is none."""

from __future__ import annotations

import json
import shutil
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def chromium() -> tuple[str, str] | None:
    """Where the browser and its driver are; None where one is missing."""
    browser = next((found for name in NAMES if (found := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    return None if browser is None or driver is None else (browser, driver)


def why_not() -> str:
    """Why no browser can be started; empty where one can."""
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "selenium is not installed (the extra dev)"
    return "" if chromium() else "chromium and chromedriver are not on the PATH"


@contextmanager
def opened(
    folder: Path, size: tuple[int, int] = (1400, 1000), *, dark: bool = False
) -> Iterator[Any]:
    """A driver; what pages download goes to a folder."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    found = chromium()
    assert found is not None
    options = webdriver.ChromeOptions()
    options.binary_location = found[0]
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
                     "--disable-background-networking", "--no-first-run",
                     f"--user-data-dir={folder / 'profile'}",
                     f"--window-size={size[0]},{size[1]}"):  # fmt: skip
        options.add_argument(argument)
    if dark:
        options.add_argument("--blink-settings=preferredColorScheme=0")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(found[1]))
    try:
        where = {"behavior": "allow", "downloadPath": str(folder)}
        driver.execute_cdp_cmd("Browser.setDownloadBehavior", where)
        driver.set_window_size(*size)
        yield driver
    finally:
        driver.quit()


def open_page(driver: Any, page: Path, address: str = "") -> None:
    """Open a page afresh and wait until it is drawn; what was logged before is forgotten."""
    driver.get("about:blank")
    complaints(driver)
    driver.get(page.resolve().as_uri() + address)
    until(lambda: driver.execute_script("return document.documentElement.dataset.ready"))


def until(true: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Wait for what becomes true."""
    ends = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < ends, "it did not come true"
        time.sleep(0.02)
    return found


def complaints(driver: Any) -> list[str]:
    """What the browser logged: errors of scripts, refused connections, missing files."""
    return [entry["message"] for entry in driver.get_log("browser")]


def keys(driver: Any, pressed: str) -> None:
    """Press keys, one after the other."""
    from selenium.webdriver.common.by import By

    body = driver.find_element(By.TAG_NAME, "body")
    for key in pressed:
        body.send_keys(key)


def data_of(page: Path) -> dict[str, Any]:
    """The head of a page's data."""
    text = page.read_text(encoding="ascii")
    start = text.index('id="data-head">') + len('id="data-head">')
    found: dict[str, Any] = json.loads(text[start : text.index("</script>", start)])
    return found
