# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium, driven by selenium; packaging/bootstrap monitoring and requirements.txt have both.

    with browser.opened(width=1280) as page:
        page.get("http://127.0.0.1:9464/")
        browser.take_picture(page, "page.png")      # all of the page, however high
"""
import base64
import contextlib
import io
import os
import shutil
import tempfile

from PIL import Image

try:
    from selenium import webdriver
    from selenium.common.exceptions import WebDriverException as DoesNotStart
except ImportError:
    webdriver, DoesNotStart = None, RuntimeError

DRIVER, BROWSER = shutil.which("chromedriver"), shutil.which("chromium")
MISSING = not (DRIVER and BROWSER and webdriver)
WHY = "chromium, its driver or selenium is missing: `make check` installs them"
COLOURS = 128


@contextlib.contextmanager
def opened(width=1280, height=900, dark=False, resolves=None):
    """`resolves`: addresses by the names that lead there, beside those of the network."""
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in ("--headless=new", "--disable-dev-shm-usage", "--hide-scrollbars", "--disable-background-networking",
                     "--no-first-run", "--disable-component-update"):
        options.add_argument(argument)
    if os.geteuid() == 0:       # its sandbox does not start as root; it loads nothing but our own page
        options.add_argument("--no-sandbox")
    if resolves:
        rules = ", ".join(f"MAP {name} {address}" for name, address in resolves.items())
        options.add_argument(f"--host-resolver-rules={rules}")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:     # where it leaves things
        page = webdriver.Chrome(options, webdriver.ChromeService(DRIVER, env=os.environ | {"TMPDIR": folder}))
        try:
            yield set_up(page, width, height, dark)
        finally:
            page.quit()


def set_up(page, width, height, dark):
    page.set_page_load_timeout(30)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                         {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
    return page


def take_picture(page, path):
    size = page.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
    taken = page.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", "captureBeyondViewport": True,
                                                            "clip": {**size, "x": 0, "y": 0, "scale": 1}})
    with Image.open(io.BytesIO(base64.b64decode(taken["data"]))) as picture:
        picture.convert("RGB").quantize(COLOURS).save(path, optimize=True)
