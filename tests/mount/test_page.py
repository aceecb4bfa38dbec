# SPDX-License-Identifier: Apache-2.0
"""What metrics_listen answers a browser: the page, what it asks for, and whom it is not told. The page itself is looked at in
tests/packaging/test_page.py, in a browser."""
import concurrent.futures
import datetime
import hashlib
import http.client
import json
import os
import pathlib
import re
import stat
import urllib.parse

import pytest

import servers
from buckets import Bucket, day
from mounting import gridmount, wait_for

PAGE = pathlib.Path(__file__).parents[2] / "fs" / "page.html"
HOSTILE = ["</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\"\\';--", "‮gpj.exe", "a&amp;b\u0085c"]


@pytest.fixture
def port(mount):
    """Of a mount that listens."""
    chosen = servers.free_port()
    mount(f"metrics_listen={chosen}")
    return chosen


def ask(port, path, host=None, method="GET", to="127.0.0.1", key=None):
    """Status, headers and body; `host`: what is said to be asked, "" for nothing."""
    connection = http.client.HTTPConnection(to, port, timeout=30)
    try:
        connection.putrequest(method, path, skip_host=True)
        if host != "":
            connection.putheader("Host", host or f"{to}:{port}")
        if key is not None:
            connection.putheader("Authorization", key)
        connection.endheaders()
        reply = connection.getresponse()
        return reply.status, reply.headers, reply.read().decode()
    finally:
        connection.close()


@pytest.mark.once
def test_the_page_is_whole_and_may_do_nothing_else(port):
    status, headers, text = ask(port, "/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    nonce = re.search(r"script-src 'nonce-([0-9a-f]{32})';", headers["Content-Security-Policy"])[1]
    assert text.count(f'nonce="{nonce}"') == 2 and "NONCE" not in text
    assert text == re.sub("NONCE_+", nonce, PAGE.read_text())
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy == {"default-src": "'none'", "script-src": f"'nonce-{nonce}'", "style-src": f"'nonce-{nonce}'",
                      "connect-src": "'self'", "img-src": "data:", "base-uri": "'none'", "form-action": "'none'",
                      "frame-ancestors": "'none'", "require-trusted-types-for": "'script'", "trusted-types": "'none'"}
    assert nonce not in ask(port, "/")[2], "each answer has its own"


@pytest.mark.once
def test_the_page_needs_nothing_from_elsewhere_and_parses_no_text_as_html():
    text = PAGE.read_text()
    assert set(re.findall(r"https?://[^\"'\s]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\(|srcdoc|DOMParser", text)
    assert not re.search(r"<[^>]+\s(on[a-z]+|style)=", text), "what its policy would refuse"


@pytest.mark.once
def test_each_answer_is_for_this_origin_and_this_moment(port):
    for path in ("/", "/status.json", "/metrics", "/nothing"):
        headers = ask(port, path)[1]
        assert (headers["X-Content-Type-Options"], headers["Cross-Origin-Resource-Policy"], headers["Cache-Control"],
                headers["Referrer-Policy"]) == ("nosniff", "same-origin", "no-store", "no-referrer"), path
        assert "Access-Control-Allow-Origin" not in headers


def test_the_status_is_told_by_http(bucket, mount):
    names = [f"d/{name}" for name in HOSTILE]
    for name in names:
        bucket.put(name, b"x" * 5000)
    port = servers.free_port()
    mnt = mount(f"metrics_listen={port}")
    for name in names:
        (mnt.path / name).read_bytes()
    status, headers, text = ask(port, "/status.json")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    told, read = json.loads(text), mnt.status()
    assert told.keys() == read.keys() and told["mountpoint"] == str(mnt.path)
    assert {file["path"] for file in told["busiest"]} == set(names)


@pytest.mark.once
def test_files_are_called_as_in_gridfs(bucket, mount):
    bucket.put("d/\uefff\uefc3é", b"x" * 5000)
    port = servers.free_port()
    mnt = mount(f"metrics_listen={port}")
    with open(os.fsencode(mnt.path / "d") + b"/\xff\xc3\xc3\xa9", "rb") as file:
        assert file.read() == b"x" * 5000
    assert json.loads(ask(port, "/status.json")[2])["busiest"][0]["path"] == "d/\uefff\uefc3é"


@pytest.mark.once
def test_a_web_site_whose_name_leads_here_is_told_no_names(port):
    """DNS rebinding: the browser asks this address, and says in Host for whom."""
    for host in ("evil.example", f"evil.example:{port}", f"127.0.0.1.evil.example:{port}", "localhost.evil.example", ""):
        for path in ("/", "/status.json"):
            for method in ("GET", "HEAD"):
                status, _, text = ask(port, path, host, method)
                assert status in (421, 400) and "mountpoint" not in text, (host, path)
    assert ask(port, "/metrics", "evil.example")[0] == 200, "which names no file"
    for host in ("127.0.0.1", f"127.0.0.1:{port}", "localhost", f"LOCALHOST:{port}", "[::1]", "192.0.2.7:80"):
        assert ask(port, "/status.json", host)[0] == ask(port, "/", host)[0] == 200, host


@pytest.mark.once
@pytest.mark.parametrize("form, to, host", [("localhost:{}", "localhost", "localhost:{}"), ("[::1]:{}", "::1", "[::1]:{}")])
def test_the_host_that_was_chosen_is_taken(mount, form, to, host):
    port = servers.free_port()
    mount(f"metrics_listen={form.format(port)}")
    assert ask(port, "/", host.format(port), to=to)[0] == 200
    assert ask(port, "/", f"evil.example:{port}", to=to)[0] == 421


def test_it_answers_with_the_server_away(bucket, mount, link, through):
    bucket.put("f", b"x")
    port = servers.free_port()
    mount(f"timeout=5,metrics_listen={port}", uri=through)
    link.set(stalled=True)
    assert ask(port, "/")[0] == 200 and json.loads(ask(port, "/status.json")[2])["counters"]["reads"] == 0


# Revisions of a file

def listening(mount, options="", **settings):
    """A mount that listens, its port, and a function that asks it for the revisions of a name with the key that it has."""
    port = servers.free_port()
    mnt = mount(",".join(filter(None, [options, f"metrics_listen={port}"])), **settings)
    page, key = (mnt.path / ".gridfs/page").read_text().strip().split("#")
    assert page == f"http://127.0.0.1:{port}/"

    def revisions(name, key=f"Bearer {key}", query="revisions.json?path=", **words):
        return ask(port, f"/{query}{urllib.parse.quote(name, safe='')}", key=key, **words)
    return mnt, port, revisions


def test_revisions_are_told_to_who_has_the_key(bucket, mount):
    theirs = bucket.insert("d/f", b"theirs", uploadDate=day(1))
    mnt, port, revisions = listening(mount, "revisions=own,checksum=on")
    for data in (b"one", b"second"):
        (mnt.path / "d/f").write_bytes(data)
    status, headers, text = revisions("d/f")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    told = json.loads(text)
    assert [(each["state"], each["size"], each["by"]) for each in told["revisions"]] == [
        ("current", 6, "gridmount"), ("kept", 6, "application"), ("retired", 3, "gridmount")]
    assert told["revisions"][1] == {"id": str(theirs), "date_ms": 1577836800000, "size": 6, "by": "application", "state": "kept"}
    assert told["revisions"][0]["sha256"] == hashlib.sha256(b"second").hexdigest()
    assert "until_ms" in told["revisions"][2] and not told["more"]
    shown = [json.loads(line) for line in gridmount("log", mnt.path / "d/f", "--json").stdout.splitlines()]
    assert {each["id"]: each.get("sha256") for each in shown} == {each["id"]: each.get("sha256") for each in told["revisions"]}
    os.unlink(mnt.path / "d/f")
    assert {each["state"] for each in json.loads(revisions("d/f")[2])["revisions"]} == {"retired"}
    assert not {"d/f", str(theirs)} & set(re.findall(r"[^\"]+", ask(port, "/metrics")[2]))


def test_nobody_else_is_told_of_revisions(bucket, mount):
    """Not even whether there is such a name."""
    bucket.put("f", b"x")
    mnt, port, revisions = listening(mount)
    page = (mnt.path / ".gridfs/page")
    right = page.read_text().strip()[-32:]
    assert stat.S_IMODE(page.stat().st_mode) == 0o400
    answers = {revisions(name, key=key)[::2] for name in ("f", "none") for key in (
        None, "", "Bearer", "Bearer ", right, f"Basic {right}", f"Bearer {right[:-1]}", f"Bearer {right}0",
        f"Bearer {right[:-1]}{'1' if right[-1] == '0' else '0'}", f"Bearer {right.upper() + 'X'}", "Bearer " + "0" * 32)}
    assert len(answers) == 1 and next(iter(answers))[0] == 401
    assert revisions("f", key=None, query=f"revisions.json?key={right}&path=")[0] == 401
    assert revisions("f", host=f"evil.example:{port}")[0] == 421
    assert revisions("f", method="POST")[0] == 405
    for path in ("/", "/status.json", "/metrics"):
        assert right not in ask(port, path)[2], "nor is the key told"
    assert right not in mnt.log() and right not in gridmount("status", mnt.path).stdout
    other = mount()
    assert "metrics_listen" in (other.path / ".gridfs/page").read_text()


def test_names_of_revisions_are_those_of_gridfs(database, mount):
    bucket = Bucket(database, "photos")
    names = [*HOSTILE, "d/\uefff\uefc3é", "a\nb", "a b+c%41&path=x"]
    for name in names:
        bucket.put(name, b"x")
    _, port, revisions = listening(mount, bucket="*")
    for name in names:
        assert revisions(f"photos/{name}")[0] == 200, name
    for name in ("photos", "photos/", "photos/none", "none/f", "/photos/a", "photos//a", "photos/../x", f"photos/./{names[0]}", ".gridfs/x"):
        assert revisions(name)[0] == 404, name
    for query in ("", "?", "?path=a%00b", "?pat=a", "?path"):
        status, _, text = revisions("", query=f"revisions.json{query}")
        assert status == 400 and "name a file" in text
    assert revisions("", query="revisions.json?path=photos/%ff%fe")[0] == 404
    assert revisions("x" * 100_000)[0] in (404, 414)


def test_what_is_told_of_a_file_is_bounded(bucket, mount):
    bucket.files.insert_many([bucket.document("f", uploadDate=day(1) + datetime.timedelta(seconds=n)) for n in range(120)])
    told = json.loads(listening(mount)[2]("f")[2])
    assert told["more"] and len(told["revisions"]) == 50
    assert told["revisions"][0]["date_ms"] == 1577836800000 + 119_000


def test_who_asks_for_revisions_keeps_nobody_waiting(bucket, mount, link, through):
    bucket.put("f", b"x")
    mnt, port, revisions = listening(mount, "timeout=5", uri=through)
    link.set(stalled=True)

    def patient():
        while (answer := revisions("f"))[0] == 503:
            pass
        return answer
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(patient)
        wait_for(lambda: revisions("f")[0] == 503, 30, what="the other to wait")
        assert ask(port, "/")[0] == 200 and json.loads(ask(port, "/status.json")[2])["mountpoint"] == str(mnt.path)
        status, _, text = waiting.result(40)
    assert status == 504 and "does not answer" in text
    link.set(stalled=False)
    wait_for(lambda: revisions("f")[0] == 200, 30, "the server to be asked again")
