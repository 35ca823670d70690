"""The page to try recognition on: who may ask, what it says, and what a person sees and does in a real browser."""

import asyncio
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np
import pytest
from browser import CHROMIUM, Browser, browser
from known_faces import PHOTOS, SMALL, recogniser
from PIL import Image
from running import ROOT
from says import every, says

pytest.importorskip("nicegui")

from facerec.commands.main import module_of
from facerec.recognise.gallery import Gallery
from facerec.recognise.trial.local_only import LocalOnly
from facerec.recognise.trial.threshold_card import in_words

# Who may ask.


def asked(method: str = "POST", kind: str = "http", host: str = "127.0.0.1:8000", **others: str) -> tuple[object, str]:
    """The status, or 0 for a closed socket, and all that was sent; the application answers 200 or accepts."""
    headers = {"host": host, **({"content_length": "9"} if method == "POST" else {}), **others}
    raw = [(key.replace("_", "-").encode(), value.encode()) for key, value in headers.items()]
    scope = {"type": kind, "headers": raw, **({"method": method} if kind == "http" else {})}
    sent = []

    async def answer(scope, receive, send) -> None:
        if kind == "websocket":
            return await send({"type": "websocket.accept"})
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message) -> None:
        sent.append(message)

    asyncio.run(LocalOnly(answer, 100)(scope, None, send))
    return sent[0].get("status", sent[0]["type"]), str(sent)


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "127.0.0.1"])
def test_the_pages_own_requests_are_answered(kind, host):
    good = {"http": 200, "websocket": "websocket.accept"}[kind]
    assert asked(kind=kind, host=host)[0] == asked(kind=kind, host=host, origin=f"http://{host}")[0] == good


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    "headers",
    [
        *({"host": host} for host in ("evil.example:8000", "", "192.168.0.7:8000", "127.0.0.1.evil.example", "[")),
        *({"origin": origin} for origin in ("http://evil.example", "null", "http://127.0.0.1:3000", "")),
        {"origin": "https://127.0.0.1:8000"},
    ],
)
def test_those_of_other_pages_and_machines_are_refused(kind, headers):
    bad = {"http": 403, "websocket": "websocket.close"}[kind]
    assert asked(kind=kind, **headers)[0] == bad


def test_a_large_body_is_refused_before_it_is_read():
    assert asked(content_length="100")[0] == 200
    assert asked(content_length="101")[0] == 413
    for unknown in ("", "-1", "many"):
        assert asked(content_length=unknown)[0] == 411


def test_the_browser_is_told_to_load_nothing_from_elsewhere():
    status, sent = asked("GET")
    assert status == 200 and says(sent, "default-src 'self'", "frame-ancestors 'none'", "nosniff")
    assert set(re.findall(r"\w+://[^ ;]*", sent)) == {"ws://127.0.0.1:8000"}


# What is refused at the start.


def serve(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    status = module_of("recognise").main(["serve", *words])
    return status, capsys.readouterr().err


def test_a_missing_package_is_said(capsys, monkeypatch):
    monkeypatch.setattr(module_of("recognise"), "find_spec", lambda name: None)
    status, said = serve(capsys, "model=net.ckpt")
    assert status == 1 and says(said, "nicegui", "pip install", "[page]")


def test_a_taken_port_is_said(capsys, depthwise_run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, said = serve(capsys, f"model={depthwise_run / 'best.ckpt'}", "aligned=true", f"port={port}")
    assert status == 1 and says(said, f"port={port}", "in use", "another")


def test_a_gallery_of_another_network_is_refused(capsys, depthwise_run, tmp_path):
    Gallery.empty("model of others").write(tmp_path / "g.npz")
    words = [f"model={depthwise_run / 'best.ckpt'}", "aligned=true", f"gallery={tmp_path / 'g.npz'}"]
    status, said = serve(capsys, *words)
    assert status == 1 and says(said, "g.npz", "model of others", "cannot be compared")


# In a browser.


class Served(NamedTuple):
    address: str
    process: subprocess.Popen
    folder: Path


@contextmanager
def served(folder: Path, program: Path, *words: str) -> Iterator[Served]:
    """The program, in an empty folder, that has begun to serve; its last word is the port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for name in ("work", "temporary"):
        (folder / name).mkdir()
    # NiceGUI serves otherwise where it finds pytest.
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(
            [sys.executable, program, *words[:-1], f"{words[-1]}{port}"],
            cwd=folder / "work",
            env=env | {"TMPDIR": str(folder / "temporary")},
            stderr=said,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    try:
        end = time.monotonic() + 120
        while "Ctrl-C" not in (folder / "said").read_text():
            assert process.poll() is None and time.monotonic() < end, (folder / "said").read_text()
            time.sleep(0.1)
        yield Served(f"http://127.0.0.1:{port}/", process, folder)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """A folder of photographs, and of what is none. Read it only."""
    folder = tmp_path_factory.mktemp("files")
    for name, pixels in PHOTOS.items():
        Image.fromarray(pixels).save(folder / f"{name}.png")
    noise = np.random.default_rng(0).integers(0, 255, (900, 900, 3), np.uint8)  # of more than a megabyte
    Image.fromarray(noise).save(folder / "nobody.png")
    (folder / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    with (folder / "huge.png").open("wb") as huge:
        huge.truncate(65 << 20)
    return folder


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served"), ROOT / "tests" / "known_faces.py", "g.npz", "") as found:
        yield found


@pytest.fixture(scope="module")
def chromium(tmp_path_factory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    with browser(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture
def tab(chromium, page) -> Browser:
    opened(chromium, page.address)
    return chromium


def opened(chromium: Browser, address: str, width: int = 1280) -> None:
    chromium.requests.clear()
    chromium.open(address, width)
    chromium.wait_for("document.querySelectorAll('.pair input[type=file]').length >= 2 && window.socket?.connected")


def text(selector: str) -> str:
    """What is seen there, as an expression."""
    parts = f"[...document.querySelectorAll({json.dumps(selector)})]"
    return f"{parts}.map(part => part.innerText ?? part.textContent).join('\\n')"


def shows(tab: Browser, selector: str, *facts: str) -> str:
    """What is seen there as soon as it has all ``facts``."""
    everything = " && ".join(f"{text(selector)}.includes({json.dumps(fact)})" for fact in facts)
    return tab.wait_for(f"({everything}) ? {text(selector)} : ''")


def give(tab: Browser, card: int, path: Path) -> None:
    tab.give_file(f".pair > :nth-child({card}) input[type=file]", path)


def press(tab: Browser, words: str) -> None:
    button = (
        f"[...document.querySelectorAll('button, .q-tab')].find(one => one.innerText.trim() === {json.dumps(words)})"
    )
    tab.wait_for(f"{button} !== undefined")
    tab.value(f"{button}.click()")


def click(tab: Browser, selector: str, across: float, down: float = 0.5) -> None:
    """Click at a fraction of the element's width and height."""
    tab.value(
        f"document.querySelector({json.dumps(selector)}).scrollIntoView({{block: 'center', behavior: 'instant'}})"
    )
    box = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
    left, top, width, height = tab.value(f"(box => [box.left, box.top, box.width, box.height])({box})")
    for type in ("mousePressed", "mouseReleased"):
        place = {"x": left + across * width, "y": top + down * height}
        tab.call("Input.dispatchMouseEvent", type=type, button="left", clickCount=1, **place)


def write(tab: Browser, label: str, words: str) -> None:
    tab.value(f"document.querySelector('input[aria-label={label}]').select()")
    tab.call("Input.insertText", text=words)


def enrol(tab: Browser, name: str) -> None:
    write(tab, "Name", name)
    press(tab, "Enrol")


def cosine(one: int = 1, other: int = 1) -> str:
    """What the page shows for two faces of the two photographs, by their numbers."""
    ours = recogniser()
    return f"{ours.compare(PHOTOS['ann'], PHOTOS['bob'], ours.threshold(0.5), (one, other)).cosine:.4f}"


def give_both(tab: Browser, files: Path) -> None:
    for card, name in enumerate(PHOTOS, 1):
        give(tab, card, files / f"{name}.png")
        shows(tab, "main", f"{name}.png: 2 faces")


@pytest.mark.parametrize("width", [400, 1280])
def test_it_loads_without_an_error_and_asks_nobody_but_this_machine(chromium, page, width):
    opened(chromium, page.address, width)
    assert shows(chromium, "main", "not a liveness check", "biometric data", "Measured on drawn")
    assert chromium.problems == []
    assert every(urlsplit(address).hostname == "127.0.0.1" for address in chromium.requests if address[:5] != "data:")
    assert chromium.value("document.documentElement.scrollWidth") <= width


def test_two_photographs_come_to_a_decision_that_follows_the_threshold(tab, files):
    give_both(tab, files)
    assert shows(tab, ".gauge", f"cosine {cosine()}")
    shown = []
    for place in (0.1, 0.9):
        click(tab, ".q-slider__track-container", place)
        number = "Number(document.querySelector('input[aria-label=threshold]').value)"
        threshold = tab.wait_for(f"Math.abs({number} - {place}) < 0.02 && {number}")
        reasons = shows(tab, ".q-tab-panel", f"threshold {threshold:.4f}")
        assert says(reasons, cosine(), "drawn")
        assert tab.value(text(".decision")) == (
            "The same person" if float(cosine()) > threshold else "Not the same person"
        )
        shown.append(tuple(tab.value(text(".value")).splitlines()))
        assert shown[-1] == in_words(recogniser().threshold(threshold))
    assert shown[0] != shown[1] and tab.problems == []


def test_another_face_is_chosen_by_its_box_and_by_its_number(tab, files):
    give_both(tab, files)
    height, width = PHOTOS["bob"].shape[:2]
    middle = (SMALL.left + SMALL.side / 2) / width, (SMALL.top + SMALL.side / 2) / height
    click(tab, ".pair > :nth-child(2) .picture img", *middle)
    assert shows(tab, ".gauge", f"cosine {cosine(1, 2)}")
    press(tab, "Face 2")  # of the first photograph
    assert shows(tab, ".gauge", f"cosine {cosine(2, 2)}")


@pytest.mark.parametrize(
    ("name", "facts"),
    [("nobody.png", ["nobody.png", "No face"]), ("phone.heic", ["HEIC", "JPEG"]), ("huge.png", ["64 MB"])],
)
def test_what_is_no_photograph_of_a_face_is_a_sentence(name, facts, tab, page, files):
    give(tab, 1, files / name)
    assert "Traceback" not in shows(tab, ".problem", *facts)
    give(tab, 1, files / "ann.png")
    tab.wait_for(f"{text('.problem')}.trim() === ''")
    assert "Traceback" not in (page.folder / "said").read_text()


def test_a_person_is_enrolled_found_and_removed(tab, page, files):
    press(tab, "Gallery")
    assert shows(tab, "main", "Enrolled: 0", "Nobody is enrolled")
    give(tab, 1, files / "ann.png")
    tab.wait_for("document.querySelectorAll('svg g rect').length > 0")
    press(tab, "Enrol")
    assert shows(tab, ".problem", "name")
    for name in ("Ann <b>", "Bob"):
        enrol(tab, name)
        shows(tab, ".people", name)
        give(tab, 1, files / "bob.png")
        shows(tab, "main", "bob.png: 2 faces")
    kept = Gallery.read(page.folder / "work" / "g.npz")
    assert list(zip(kept.people.tolist(), kept.photos.tolist(), strict=True)) == [
        ("Ann <b>", "ann.png"),
        ("Bob", "bob.png"),
    ]
    enrol(tab, "Bob")
    assert shows(tab, ".problem", "Bob", "bob.png", "already")
    click(tab, ".q-slider__track-container", 0.1)
    assert shows(tab, ".decision", "Bob")
    assert shows(tab, ".rows:not(.people)", "Bob", "1.0000", "Ann <b>", cosine())
    write(tab, "threshold", "1")
    assert shows(tab, ".decision", "Nobody")
    for left in (1, 0):
        tab.value("document.querySelector('button[aria-label^=Remove]').click()")
        press(tab, "Remove")
        shows(tab, "main", f"Enrolled: {left}")
        assert len(Gallery.read(page.folder / "work" / "g.npz")) == left
    assert tab.problems == []


def test_no_file_is_written_not_even_for_a_moment(tab, page, files):
    give(tab, 1, files / "nobody.png")
    shows(tab, ".problem", "nobody.png")
    assert {path.name for path in (page.folder / "work").iterdir()} <= {"g.npz"}  # which the test before may have left
    assert "opened" not in (page.folder / "said").read_text()


def test_other_names_and_large_bodies_are_refused_by_the_server(page):
    address = urlsplit(page.address)
    for headers, status in [({"Host": "evil.example"}, 403), ({"Content-Length": "99999999"}, 413), ({}, 411)]:
        connection = http.client.HTTPConnection("127.0.0.1", address.port, timeout=30)
        connection.putrequest("POST", "/", skip_host="Host" in headers)
        for header in headers.items():
            connection.putheader(*header)
        connection.endheaders()
        assert connection.getresponse().status == status
        connection.close()


def test_without_rates_and_gallery_the_page_says_so_and_ctrl_c_ends_it(chromium, depthwise_run, tmp_path):
    words = ["serve", f"model={depthwise_run / 'best.ckpt'}", "aligned=true", "port="]
    with served(tmp_path, ROOT / "scripts" / "recognise.py", *words) as page:
        opened(chromium, page.address)
        assert shows(chromium, ".value", "not measured\nnot measured")
        assert shows(chromium, "main", "Not measured: a checkpoint holds no error rates")
        press(chromium, "Gallery")
        assert shows(chromium, "main", "gallery=FILE.npz")
        page.process.send_signal(signal.SIGINT)
        assert page.process.wait(30) == 130
        assert (tmp_path / "said").read_text().splitlines()[1:] == ["the page has ended"]
