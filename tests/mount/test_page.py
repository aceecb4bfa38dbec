# SPDX-License-Identifier: Apache-2.0
"""What metrics_listen answers a browser: the page, what it asks for, and whom it is not told. The page itself is looked at in
tests/packaging/test_page.py, in a browser."""
import http.client
import json
import os
import pathlib
import re

import pytest

import servers

PAGE = pathlib.Path(__file__).parents[2] / "fs" / "page.html"
HOSTILE = ["</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\"\\';--", "‮gpj.exe", "a&amp;b\u0085c"]


@pytest.fixture
def port(mount):
    """Of a mount that listens."""
    chosen = servers.free_port()
    mount(f"metrics_listen={chosen}")
    return chosen


def ask(port, path, host=None, method="GET", to="127.0.0.1"):
    """Status, headers and body; `host`: what is said to be asked, "" for nothing."""
    connection = http.client.HTTPConnection(to, port, timeout=30)
    try:
        connection.putrequest(method, path, skip_host=True)
        if host != "":
            connection.putheader("Host", host or f"{to}:{port}")
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
