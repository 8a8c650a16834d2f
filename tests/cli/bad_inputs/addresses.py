"""Addresses of our own network and of clouds' own services, however they are written, in the URL of a picture."""

from collections.abc import Callable
from pathlib import Path

from capcurriculum.recipe.sources import Download
from datagen.image_decoding import ImageProblem
from datagen.sources.images.addresses import public
from datagen.sources.images.download import TryAgain, fetch
from tests.cli.bad_inputs.corpus import Case

#: The first and the last address of a range where both matter.
ADDRESSES = """
0.0.0.0 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 100.100.100.200 127.0.0.1 127.255.255.255
168.63.129.16 169.254.0.1 169.254.169.254 169.254.170.2 172.16.0.0 172.31.255.255 192.0.0.1 192.0.0.9 192.0.0.10
192.0.0.192 192.0.0.255 192.0.2.1 192.31.196.1 192.52.193.1 192.88.99.1 192.88.99.255 192.168.0.0 192.168.255.255
192.175.48.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
:: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:168.63.129.16 ::ffff:0:7f00:1
64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b::a83f:8110 64:ff9b:1::1 100::1 200::1 400::1 1000::1 2001::1
2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:1::1 2001:2::1 2001:20::1 2001:1ff::1 2001:db8::1 2002:7f00:1::
2002:5db8:d70e:: 2620:4f:8000::1 3fff::1 3fff:fff:ffff::1 4000::1 5f00::1 8000::1 c000::1 e000::1 fc00::1
fd00:ec2::254 fd20:ce::254 fdff::1 fe00::1 fe80::1 fec0::1 feff::1 ff02::1 ff0e::1
"""
SPELLINGS = (
    "http://2130706433/", "http://0x7f000001/", "http://017700000001/", "http://127.1/", "http://127.0.1/",
    "http://0x7f.0.0.1/", "http://0177.0.0.1/", "http://1.2.3.4@127.0.0.1/", "http://0/", "http://2852039166/",
    "http://0xa9fea9fe/", "http://①②⑦.⓪.⓪.①/", "http://127。0。0。1/", "http://[::ffff:7f00:1]/", "http://[::]:80/",
    "http://localhost/", "http://LOCALHOST/", "http://[::1]/",
)  # fmt: skip
NO_URLS = (
    "", "picture.png", "//127.0.0.1/x.png", "file:///etc/passwd", "ftp://93.184.215.14/x", "gopher://93.184.215.14/",
    "data:image/png;base64,AA", "javascript:1", "http://", "http:///x", "http://:80/", "http://93.184.215.14:0/",
    "http://93.184.215.14:99999/", "http://93.184.215.14:-1/", "http://93.184.215.14:x/", "http://u:p@93.184.215.14/",
    "http://93.184.215.14/a b", "http://93.184.215.14/\r\nHost: x", "http://93.184.215.14/\x00", "http://[/",
    "http://[::1/", "http://93.184.215.14/" + "a" * 4096,
)  # fmt: skip
PORTS = (22, 25, 6379, 8080, 65535)


def _case(url: str, name: str = "") -> Case:
    def make(folder: Path) -> Callable[[], int]:
        def ask() -> int:
            try:
                fetch(url, Download(timeout_seconds=1.0, user_agent="test"), 1000, public)
            except ImageProblem as problem:
                print(f"{problem.reason}: {problem}".encode("ascii", "backslashreplace").decode())
                return 2
            except TryAgain as problem:
                print(f"a connection was tried: {problem}")
            return 0

        return ask

    return Case(name or url.encode("unicode_escape").decode()[:60], make, "^address_refused: ")


CASES = [
    *(_case(f"http://[{one}]/x.png" if ":" in one else f"http://{one}/x.png", one) for one in ADDRESSES.split()),
    *(_case(url) for url in SPELLINGS),
    *(_case(url, f"no URL {number}") for number, url in enumerate(NO_URLS)),
    *(_case(f"http://93.184.215.14:{port}/x.png", f"port {port}") for port in PORTS),
]
