"""Fetching images from URLs nobody vouches for, against a real server on loopback that misbehaves by its paths.

Production refuses loopback; the tests pass a policy that allows it and nothing else.
"""

import ipaddress
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from capcurriculum.reasons import Reason
from capcurriculum.recipe.sources import Download
from capcurriculum.rows import CaptionedImage, Verdict
from datagen.image_decoding import ImageProblem
from datagen.sources.datasets import pixmo
from datagen.sources.images.addresses import Address, public
from datagen.sources.images.download import TryAgain, fetch, patient
from datagen.sources.images.fetching import fetch_all
from datagen.sources.images.image_paths import Place
from datagen.sources.images.store import Store
from tests.support import source_data as data
from tests.support.loopback import Quiet, serving

POLITE, MOST_BYTES = Download(timeout_seconds=5.0, user_agent="test"), 100_000


def loopback(address: Address, port: int) -> bool:
    return address == ipaddress.ip_address("127.0.0.1")


@dataclass
class Site:
    """The server's address, what it was asked, and how many requests it served at the same time at most."""

    url: str = ""
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    busy: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    release: threading.Event = field(default_factory=threading.Event)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = handler.path.split("?")[0]
        name, _, argument = path.strip("/").partition("/")
        match name:
            case "image":
                send(handler, 200, data.picture(int(argument or 1)), {"Content-Type": "text/html"})
            case "flaky":
                first = sum(one == handler.path for one, _ in self.asked) == 1
                send(handler, 429, b"", {"Retry-After": "7"}) if first else send(handler, 200, data.picture(2))
            case "status":
                send(handler, int(argument), b"no")
            case "redirect":
                send(handler, 302, b"", {"Location": {"in": "/image/3", "loop": handler.path}[argument]})
            case "private":
                send(handler, 301, b"", {"Location": f"http://{argument}/x.png"})
            case "page":
                send(handler, 200, b"<!doctype html><p>Not here any more</p>", {"Content-Type": "image/png"})
            case "large":
                send(handler, 200, data.picture(1) + bytes(200_000))
            case "endless":
                start(handler, {})
                for _ in range(1000):
                    handler.wfile.write(data.picture(1) + bytes(10_000))
            case "header":
                name, value = {
                    "length": ("Content-Length", "9" * 5000), "retry": ("Retry-After", "9" * 5000),
                    "bracket": ("Location", "http://["), "port": ("Location", "http://h:99999/"),
                    "nothing": ("Location", "http://"), "latin": ("Location", "http://\xe9\xff/"),
                    "label": ("Location", f"http://{'a' * 300}.x/"), "scheme": ("Location", "file:///etc/passwd"),
                    "turkish": ("Content-Length", "\xb2"),
                }[argument]  # fmt: skip
                if name == "Content-Length":
                    start(handler, {name: value})
                    handler.wfile.write(data.picture(1))
                    handler.close_connection = True
                else:
                    send(handler, 302 if name == "Location" else 503, data.picture(1), {name: value})
            case "cut":
                start(handler, {"Content-Length": "5000"})
                handler.wfile.write(data.picture(1))
            case "drip":
                start(handler, {"Content-Length": "5000"})
                for byte in data.picture(1):
                    handler.wfile.write(bytes([byte]))
                    handler.wfile.flush()
                    if self.release.wait(0.05):
                        return
            case "mute":
                self.release.wait(20)
            case "bomb":
                send(handler, 200, bomb())


def bomb() -> bytes:
    """A PNG header that claims 20,000 x 20,000 pixels."""
    import zlib

    head = b"IHDR" + (20_000).to_bytes(4) * 2 + b"\x08\x02\x00\x00\x00"
    end = b"IEND"
    chunks = ((head, 13), (end, 0))
    return b"\x89PNG\r\n\x1a\n" + b"".join(n.to_bytes(4) + c + zlib.crc32(c).to_bytes(4) for c, n in chunks)


def start(handler: BaseHTTPRequestHandler, headers: dict[str, str]) -> None:
    handler.send_response(200)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
    handler.send_response(status)
    for name, value in ((headers or {}) | {"Content-Length": str(len(body))}).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture
def site() -> Iterator[Site]:
    found = Site()

    class Handler(Quiet):
        def do_GET(self) -> None:
            with found.lock:
                found.asked.append((self.path, dict(self.headers.items())))
                found.busy += 1
                found.most = max(found.most, found.busy)
            try:
                found.answer(self)
            except OSError:
                pass  # the client hung up, as it should on some of these
            finally:
                with found.lock:
                    found.busy -= 1

    with serving(Handler) as found.url:
        yield found
        found.release.set()


@pytest.mark.parametrize("path", ["/image/3", "/redirect/in", "/image/3?a=b c&d=é"])
def test_an_image_is_told_by_its_bytes_and_redirects_are_followed(site: Site, path: str) -> None:
    if " " in path:
        with pytest.raises(ImageProblem, match="control characters"):
            fetch(site.url + path, POLITE, MOST_BYTES, loopback)
        path = path.replace(" ", "%20")
    assert fetch(site.url + path, POLITE, MOST_BYTES, loopback) == data.picture(3)
    assert site.asked[-1][1]["User-Agent"] == "test"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/status/404", Reason.DEAD_LINK),
        ("/status/410", Reason.DEAD_LINK),
        ("/status/403", Reason.DEAD_LINK),
        ("/status/204", Reason.DEAD_LINK),
        ("/redirect/loop", Reason.DEAD_LINK),
        ("/page", Reason.UNREADABLE_IMAGE),
        ("/large", Reason.IMAGE_TOO_LARGE),
        ("/endless", Reason.IMAGE_TOO_LARGE),
        ("/private/10.0.0.1", Reason.ADDRESS_REFUSED),
        ("/private/[::1]", Reason.ADDRESS_REFUSED),
        ("/private/169.254.169.254", Reason.ADDRESS_REFUSED),
        ("/private/user:secret@127.0.0.1", Reason.ADDRESS_REFUSED),
    ],
)
def test_what_gives_no_image_has_its_reason_and_is_not_tried_again(site: Site, path: str, reason: Reason) -> None:
    section = Download(timeout_seconds=20, tries=3)
    with pytest.raises(ImageProblem) as caught:
        patient(site.url + path, section, MOST_BYTES, loopback, sleep=lambda _: pytest.fail("tried again"))
    assert caught.value.reason is reason


@pytest.mark.parametrize("path", ["/drip", "/mute", "/cut", "/status/503"])
def test_what_may_pass_is_tried_again_and_then_given_up(site: Site, path: str) -> None:
    pauses: list[float] = []
    section = Download(timeout_seconds=0.4, tries=2)
    with pytest.raises(ImageProblem, match="tried 2 times") as caught:
        patient(site.url + path, section, MOST_BYTES, loopback, sleep=pauses.append)
    assert caught.value.reason is Reason.DOWNLOAD_FAILED
    assert len(site.asked) == 2
    assert len(pauses) == 1


def test_a_server_that_asks_for_a_pause_gets_it(site: Site) -> None:
    pauses: list[float] = []
    assert patient(site.url + "/flaky", Download(), 10**6, loopback, sleep=pauses.append) == data.picture(2)
    assert pauses == [7.0]


def test_the_connection_goes_to_the_address_that_was_checked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: the second answer for the name would be another address, and is never asked for."""
    port = int(site.url.rsplit(":", 1)[1])
    answers = iter(["127.0.0.1"])

    def resolve(host: str, asked: int, **_: Any) -> list[Any]:
        assert (host, asked) == ("pictures.example", port)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", _to_literal)  # the real one resolves even what is an address
    assert fetch(f"http://pictures.example:{port}/image/4", POLITE, MOST_BYTES, loopback) == data.picture(4)
    assert site.asked[-1][1]["Host"] == f"pictures.example:{port}"
    assert next(answers, None) is None


def _to_literal(address: tuple[str, int], timeout: float) -> socket.socket:
    ipaddress.ip_address(address[0])  # a name here would be resolved a second time
    raw = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    raw.settimeout(timeout)
    raw.connect(address)
    return raw


def test_a_name_with_a_public_and_a_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [(2, 1, 6, "", ("93.184.215.14", 80)), (2, 1, 6, "", ("192.168.0.7", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    with pytest.raises(ImageProblem, match=r"leads to 192\.168\.0\.7"):
        fetch("http://both.example/x.png", POLITE, MOST_BYTES, public)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "240.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1",
        "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1",
    ],
)  # fmt: skip
def test_production_refuses_every_address_that_is_not_public(address: str) -> None:
    assert not public(ipaddress.ip_address(address), 443)


def test_production_allows_public_addresses_on_web_ports_only() -> None:
    for address in ("93.184.215.14", "2606:4700::6810:84e5", "::ffff:93.184.215.14"):
        assert public(ipaddress.ip_address(address), 80)
        assert not public(ipaddress.ip_address(address), 6379)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y", "http://", "//x/y", "http://x:0/", "http://x:y/"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ImageProblem) as caught:
        fetch(url, POLITE, MOST_BYTES, public)
    assert caught.value.reason is Reason.ADDRESS_REFUSED


def test_loopback_is_refused_in_production(site: Site) -> None:
    with pytest.raises(ImageProblem, match="leads to 127"):
        fetch(site.url + "/image/1", POLITE, MOST_BYTES, public)
    assert not site.asked


def test_one_host_is_asked_by_few_at_a_time_while_others_go_on() -> None:
    busy: dict[str, int] = {}
    most: dict[str, int] = {}
    lock = threading.Lock()
    both = threading.Barrier(2, timeout=30)

    def work(job: str) -> str:
        host = job[0]
        with lock:
            busy[host] = busy.get(host, 0) + 1
            most[host] = max(most.get(host, 0), busy[host])
        if job in ("a0", "b0"):
            both.wait()  # passes only if b is started while a's queue is long
        with lock:
            busy[host] -= 1
        return job

    jobs = [f"a{n}" for n in range(20)] + ["b0"]
    fetched = fetch_all(jobs, Download(concurrency=8, per_host=1, pause_seconds=0.0), lambda job: job[0], work)
    assert sorted(result for _, result in fetched) == sorted(jobs)
    assert most == {"a": 1, "b": 1}


def test_a_failing_job_is_raised_and_does_not_hang() -> None:
    def work(job: int) -> int:
        raise TryAgain("no") if job == 3 else ValueError(job)

    with pytest.raises((TryAgain, ValueError)):
        list(fetch_all(range(50), Download(pause_seconds=0), str, work))


def pixmo_rows(folder: Path, rows: list[tuple[object, object]]) -> Path:
    data.parquet(
        folder / "data/train-00000-of-00004.parquet",
        [{"image_url": url, "caption": caption, "transcripts": ["well"]} for url, caption in rows],
    )
    return folder


def read_pixmo(folder: Path, run: Path, known: frozenset[str] = frozenset()) -> list[CaptionedImage | Verdict]:
    download = {"timeout_seconds": 5, "tries": 1, "pause_seconds": 0, "per_host": 4}
    section = data.section("pixmo", folder, download=download, max_bytes=100_000, max_pixels=10**6)
    return list(pixmo.read(section, Place(folder, "PixmoCap", Store(run)), "perception", known, policy=loopback))


def test_pixmo_rows_are_fetched_kept_and_never_fetched_again(site: Site, tmp_path: Path) -> None:
    rows: list[tuple[object, object]] = [
        (f"{site.url}/image/1", "A first picture."),
        (f"{site.url}/image/2", "A second picture."),
        (f"{site.url}/status/404", "Gone."),
        (f"{site.url}/bomb", "A bomb."),
        (f"{site.url}/private/192.168.0.1", "Inside."),
        ("gopher://x", "Old."),
        (f"{site.url}/image/3", "  "),
        (None, "No link."),
    ]
    folder = pixmo_rows(tmp_path / "pixmo", rows)
    found = read_pixmo(folder, tmp_path / "run")
    captions = [row for row in found if isinstance(row, CaptionedImage)]
    assert {c.caption for c in captions} == {"A first picture.", "A second picture."}
    assert {(c.source, c.license) for c in captions} == {("PixmoCap", "odc-by")}
    assert all((tmp_path / "run" / c.image_path).read_bytes()[:4] == b"\x89PNG" for c in captions)
    assert sorted(data.reasons(found)) == sorted(
        ["dead_link", "image_too_large", "address_refused", "address_refused", "empty_caption", "missing_field"]
    )
    asked = len(site.asked)
    keys = frozenset(row.row_key if isinstance(row, CaptionedImage) else row.question_id for row in found)
    assert read_pixmo(folder, tmp_path / "run", keys) == []
    # A kill before the shard was written: the rows are made again, from what was fetched.
    again = read_pixmo(folder, tmp_path / "run")
    assert sorted(map(repr, again)) == sorted(map(repr, found))
    assert len(site.asked) == asked


def test_the_same_picture_twice_is_one_file_and_the_same_row_twice_is_refused(site: Site, tmp_path: Path) -> None:
    url = f"{site.url}/image/5"
    folder = pixmo_rows(tmp_path / "pixmo", [(url, "One."), (url, "Two."), (url, "One.")])
    found = read_pixmo(folder, tmp_path / "run")
    assert len([row for row in found if isinstance(row, CaptionedImage)]) == 2
    assert data.reasons(found) == ["duplicate_row"]
    assert len(list((tmp_path / "run/images").glob("??/*"))) == 1


def test_a_torn_index_line_costs_one_fetch_and_no_error(site: Site, tmp_path: Path) -> None:
    folder = pixmo_rows(tmp_path / "pixmo", [(f"{site.url}/image/1", "One."), (f"{site.url}/image/2", "Two.")])
    first = read_pixmo(folder, tmp_path / "run")
    (index,) = (tmp_path / "run/images").glob("index-*.jsonl")
    index.write_text(index.read_text()[:-20])
    asked = len(site.asked)
    assert len(read_pixmo(folder, tmp_path / "run")) == len(first)
    assert len(site.asked) == asked + 1
    assert [json.loads(line)["name"] for line in index.read_text().splitlines() if line.endswith("}")]


@pytest.mark.parametrize("name", ["length", "retry", "bracket", "port", "nothing", "latin", "label", "scheme"])
def test_a_header_that_nobody_expects_costs_its_own_picture(site: Site, name: str) -> None:
    with pytest.raises((ImageProblem, TryAgain)) as caught:
        fetch(f"{site.url}/header/{name}", POLITE, MOST_BYTES, loopback)
    assert len(str(caught.value)) < 200


def test_a_length_that_is_no_number_is_none(site: Site) -> None:
    assert fetch(f"{site.url}/header/turkish", POLITE, MOST_BYTES, loopback) == data.picture(1)
