# SPDX-License-Identifier: Apache-2.0
"""The page of metrics_listen, as Chromium shows it. Its pictures are left in build/reports."""
import pathlib

import gridfs
import pytest
from PIL import Image, ImageStat

import browser
import mounting
import servers
from mounting import wait_for

REPORTS = pathlib.Path(__file__).parents[2] / "build" / "reports"
HOSTILE = "<img src=x onerror=document.title=1>\"'&amp;</script>"
SITE = "evil.example"
MIB = 1 << 20

pytestmark = [pytest.mark.skipif(browser.MISSING, reason=browser.WHY), pytest.mark.timeout(180)]


@pytest.fixture(scope="module", autouse=True)
def chromium():
    """Skips all where it does not start, as in some containers: it is not what is tested."""
    try:
        with browser.opened() as page:
            page.get("about:blank")
    except browser.DoesNotStart as reason:
        pytest.skip(f"chromium does not start here: {str(reason).splitlines()[0]}")


@pytest.fixture
def mnt(database, link, tmp_path):
    """A mount behind the link, which listens at .port, of which a hostile file was read."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    gridfs.GridFS(database).put(b"x" * 3 * MIB, filename=HOSTILE)
    port = servers.free_port()
    uri = f"mongodb://127.0.0.1:{link.port}/{database.name}?directConnection=true&heartbeatFrequencyMS=500"
    made = mounting.Mount(uri, tmp_path / "mnt", tmp_path / "log", f"timeout=5,metrics_listen={port}", longest=170).start()
    made.port = port
    (made.path / HOSTILE).read_bytes()
    yield made
    assert (made.unmount(), made.alarms()) == (0, [])


def shows(page, *words):
    """Waits until the page has all of them."""
    def body():
        return page.execute_script("return document.body.innerText")
    wait_for(lambda: all(word in body() for word in words), 30, f"{words}")
    return body()


def complaints(page):
    return [entry["message"] for entry in page.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


@pytest.mark.parametrize("width, dark", [(1280, False), (1280, True), (400, False)])
def test_it_shows_how_the_mount_is(mnt, database, width, dark):
    picture = REPORTS / f"page-{width}{'-dark' * dark}.png"
    with browser.opened(width=width, dark=dark) as page:
        page.get(f"http://127.0.0.1:{mnt.port}/")
        text = shows(page, str(mnt.path), database.name, "Busiest files", "3.0 MiB", "read", "since it was mounted")
        assert text.index("ok") < text.index("What is read")
        assert page.title.startswith("ok"), "no script of others ran"
        assert HOSTILE in text and page.execute_script("return document.images.length") == 0
        assert page.execute_script("return document.documentElement.scrollWidth") <= width
        assert complaints(page) == [], "its policy refuses nothing that it does"
        browser.take_picture(page, picture)
    with Image.open(picture) as taken:
        assert taken.width == width
        assert (ImageStat.Stat(taken.convert("L")).mean[0] < 100) == dark


def test_rates_are_those_of_the_moment(mnt):
    with browser.opened() as page:
        page.get(f"http://127.0.0.1:{mnt.port}/")
        shows(page, "since it was mounted")

        def rates():
            for number in range(50):
                (mnt.path / f"missing{number}").exists()
            return page.execute_script("return document.querySelector('#tiles div:last-child b').innerText") != "0"
        wait_for(rates, 30, "a rate of requests")
        shows(page, "lookup", "in the last")


def opened_with_key(page, mnt):
    page.get((mnt.path / ".gridfs/page").read_text().strip())
    shows(page, "ok", str(mnt.path), HOSTILE)


def test_revisions_of_a_file_are_shown(mnt, database, link):
    for data in (b"x" * 700, b"y" * 2048):
        gridfs.GridFS(database).put(data, filename=HOSTILE)
    ids = [str(document["_id"]) for document in database.fs.files.find()]
    with browser.opened() as page:
        page.get(f"http://127.0.0.1:{mnt.port}/")
        text = shows(page, "ok", "open the page by the address that .gridfs/page")
        assert not page.find_elements("css selector", ".name") and not page.find_element("id", "of").is_displayed()
        opened_with_key(page, mnt)
        page.find_element("css selector", "#busiest .name").click()
        text = shows(page, f"{HOSTILE}: 3 in all", "700 B", "2.0 KiB", "3.0 MiB", "application", "current", *ids)
        assert text.index("2.0 KiB") < text.index("700 B")
        assert page.title.startswith("ok") and page.execute_script("return document.images.length") == 0
        field = page.find_element("id", "file")
        field.clear()
        field.send_keys("no such\n")
        shows(page, "no such: no revision is known")
        assert not page.find_elements("css selector", ".revision")
        link.set(refusing=True)
        link.cut()
        field.clear()
        field.send_keys(f"{HOSTILE}\n")
        shows(page, f"{HOSTILE}: the server does not answer", "degraded")
        link.set(refusing=False)
        wait_for(lambda: page.title.startswith("ok"), 60, "the server is back")
        page.find_element("css selector", "#of button").click()
        shows(page, "3 in all")
        browser.take_picture(page, REPORTS / "page-revisions.png")
        assert [each for each in complaints(page) if "404" not in each and "504" not in each] == []


@pytest.mark.parametrize("width", [400])
def test_revisions_fit_a_narrow_page(mnt, width):
    with browser.opened(width=width) as page:
        opened_with_key(page, mnt)
        page.find_element("css selector", "#busiest .name").click()
        shows(page, "1 in all")
        assert page.execute_script("return document.documentElement.scrollWidth") <= width


def test_what_is_wrong_comes_first_and_goes_again(mnt, link):
    with browser.opened() as page:
        page.get(f"http://127.0.0.1:{mnt.port}/")
        shows(page, "ok", str(mnt.path))
        link.set(refusing=True)
        link.cut()
        text = shows(page, "degraded", "The server does not answer")
        assert text.index("The server does not answer") < text.index("What is read")
        assert page.title.startswith("degraded")
        link.set(refusing=False)
        wait_for(lambda: page.title.startswith("ok"), 60, "the server is back")
        assert "does not answer" not in page.execute_script("return document.body.innerText")


def test_a_mount_that_is_gone_is_said_to_be(mnt):
    with browser.opened() as page:
        page.get(f"http://127.0.0.1:{mnt.port}/")
        shows(page, "ok", str(mnt.path))
        assert mnt.unmount() == 0
        assert "Busiest files" in shows(page, "no answer", "The mount does not answer")
        mnt.start()
        shows(page, "ok", str(mnt.path))


def test_a_web_site_learns_no_names(mnt):
    """Neither one whose own name leads to this machine, nor one that asks across origins, embeds or frames the page."""
    with browser.opened(resolves={SITE: "127.0.0.1"}) as page:
        page.get(f"http://{SITE}:{mnt.port}/status.json")
        assert "ask by the address" in page.page_source and HOSTILE[:4] not in page.page_source
        page.get(f"http://{SITE}:{mnt.port}/metrics")
        ask = """const [url, mode, done] = arguments;
                 fetch(url, {mode}).then(async reply => done(reply.status + " " + await reply.text()), error => done("refused"))"""
        assert page.execute_async_script(ask, "/status.json", "cors").startswith("421")
        for mode in ("cors", "no-cors"):
            assert page.execute_async_script(ask, f"http://127.0.0.1:{mnt.port}/status.json", mode) == "refused"
        frame = """const [url, done] = arguments, frame = document.createElement("iframe");
                   frame.src = url; frame.onload = () => done("loaded"); document.body.append(frame)"""
        page.execute_async_script(frame, f"http://127.0.0.1:{mnt.port}/")
        assert any("frame-ancestors" in message for message in complaints(page))
