"""What is public, and a name that leads elsewhere a moment later (DNS rebinding), with a resolver on loopback."""

import ipaddress
import socket
import struct
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from capcurriculum.reasons import Reason
from capcurriculum.recipe.sources import Download
from datagen.image_decoding import ImageProblem
from datagen.sources.images.addresses import Address, public
from datagen.sources.images.download import fetch
from tests.support import loopback
from tests.support import source_data as data

POLITE, MOST_BYTES = Download(timeout_seconds=5.0, user_agent="test"), 100_000
HOST = "rebind.example"
OUTSIDE, INSIDE = "127.0.0.1", "::1"
A, AAAA = 1, 28


def outside(address: Address, port: int) -> bool:
    """The policy of these tests: 127.0.0.1 stands for the world, ::1 for our own network."""
    return str(address) == OUTSIDE


@pytest.mark.parametrize(
    "address",
    [
        "1.0.0.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "168.63.129.15", "168.63.129.17",
        "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0", "192.88.98.255", "192.88.100.0",
        "198.17.255.255", "198.20.0.0", "223.255.255.255", "93.184.215.14", "::ffff:93.184.215.14",
        "64:ff9b::5db8:d70e", "2001:200::1", "2001:db7:ffff::1", "2001:db9::", "2003::1", "2606:4700::6810:84e5",
        "2a00:1450:4001::1", "3ffe:ffff::1", "3fff:1000::1",
    ],
)  # fmt: skip
def test_what_is_given_out_is_public_up_to_its_borders(address: str) -> None:
    assert public(ipaddress.ip_address(address), 443)


def test_everything_that_python_calls_not_global_is_refused_too() -> None:
    networks = ("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4", "2001::/23", "fc00::/7")
    for network in map(ipaddress.ip_network, networks):
        for address in (network[0], network[1], network[-1], network[network.num_addresses // 2]):
            assert not public(address, 443), address


@dataclass
class Resolver:
    """A name server on loopback: what it says of any name, one answer after the other, the last for ever."""

    answers: list[str]
    asked: int = 0
    port: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self) -> str:
        with self.lock:
            self.asked += 1
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def reply(self, query: bytes) -> bytes:
        """RFC 1035: the question again and one address with a time to live of 0."""
        address = ipaddress.ip_address(self.next())
        record = struct.pack("!HHHIH", 0xC00C, A if address.version == 4 else AAAA, 1, 0, len(address.packed))
        return query[:2] + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0) + query[12:] + record + address.packed

    def getaddrinfo(self, host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        """As the system would ask it, with nothing kept between two calls."""
        try:
            ipaddress.ip_address(host)
        except ValueError:
            host = self.query(host)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (host, port, 0, 0)[: 4 if ":" in host else 2])]

    def query(self, host: str) -> str:
        labels = b"".join(bytes([len(part)]) + part.encode() for part in host.split("."))
        question = struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", A, 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(10)
            asking.sendto(question, (OUTSIDE, self.port))
            answer = asking.recv(512)[len(question) :]
        return str(ipaddress.ip_address(answer[12:]))


@contextmanager
def resolving(*answers: str) -> Iterator[Resolver]:
    """A resolver by which every name is looked up meanwhile."""
    resolver, real = Resolver(list(answers)), socket.getaddrinfo
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind((OUTSIDE, 0))
        listening.settimeout(0.1)
        resolver.port, over = listening.getsockname()[1], threading.Event()

        def serve() -> None:
            while not over.is_set():
                try:
                    query, who = listening.recvfrom(512)
                except TimeoutError:
                    continue
                listening.sendto(resolver.reply(query), who)

        thread = threading.Thread(target=serve)
        thread.start()
        socket.getaddrinfo = resolver.getaddrinfo
        try:
            yield resolver
        finally:
            socket.getaddrinfo = real
            over.set()
            thread.join()


class _Inside(ThreadingHTTPServer):
    address_family = socket.AF_INET6


@dataclass
class Network:
    """A server in the world and one of ours on the same port, and what each was asked."""

    port: int
    outside: list[str]
    inside: list[str]

    def url(self, path: str) -> str:
        return f"http://{HOST}:{self.port}/{path}"


def _handler(asked: list[str]) -> type[BaseHTTPRequestHandler]:
    class Handler(loopback.Quiet):
        def do_GET(self) -> None:
            asked.append(self.path)
            moved = self.path == "/moved"
            self.send_response(302 if moved else 200)
            self.send_header("Location", "/image")
            self.end_headers()
            self.wfile.write(b"" if moved else data.picture(1))

    return Handler


@pytest.fixture
def network() -> Iterator[Network]:
    found = Network(0, [], [])
    world = ThreadingHTTPServer((OUTSIDE, 0), _handler(found.outside))
    found.port = world.server_address[1]
    own = _Inside((INSIDE, found.port), _handler(found.inside))
    for server in (world, own):
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield found
    for server in (world, own):
        server.shutdown()
        server.server_close()


def test_the_trap_is_one_who_asks_twice_falls_into_it(network: Network) -> None:
    with resolving(OUTSIDE, INSIDE) as resolver:
        assert str(resolver.query(HOST)) == OUTSIDE  # who looks first
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(network.url("secret")).read()  # and then asks
    assert network.inside == ["/secret"]


def test_a_name_is_looked_up_once_and_that_address_is_asked(network: Network) -> None:
    with resolving(OUTSIDE, INSIDE) as resolver:
        assert fetch(network.url("image"), POLITE, MOST_BYTES, outside) == data.picture(1)
        assert resolver.asked == 1
    assert (network.outside, network.inside) == (["/image"], [])


def test_a_name_that_turns_inward_between_two_requests_or_in_a_redirection_is_refused(network: Network) -> None:
    with resolving(OUTSIDE, INSIDE), pytest.raises(ImageProblem, match="leads to ::1") as caught:
        fetch(network.url("moved"), POLITE, MOST_BYTES, outside)
    assert caught.value.reason is Reason.ADDRESS_REFUSED
    with resolving(OUTSIDE, INSIDE):
        fetch(network.url("image"), POLITE, MOST_BYTES, outside)
        with pytest.raises(ImageProblem, match="leads to ::1"):
            fetch(network.url("image"), POLITE, MOST_BYTES, outside)
    assert network.inside == []


def test_a_name_that_turns_at_every_look_never_leads_inside(network: Network) -> None:
    refused = 0
    with resolving(*[OUTSIDE, INSIDE] * 100):
        for _ in range(100):
            try:
                fetch(network.url("moved"), POLITE, MOST_BYTES, outside)
            except ImageProblem:
                refused += 1
    assert refused == 100  # each redirection was looked up anew, and turned
    assert network.inside == []
    assert len(network.outside) == 100
