"""The content-addressed storage that hf_xet uploads to by default: xorbs (packed chunks), shards (which chunks make a
file) and reconstructions. Just enough of it that the real library moves files; formats as the library writes them.
"""

import hashlib
import json
import re
import struct
import time
import uuid
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa

from tests.support.hub_server.state import Hub, Refused
from tests.support.hub_server.web import REPO, Reply, Request, repo, route

#: Sizes of a shard's header and of each of its entries, in bytes.
_HEADER, _ENTRY = 48, 48
#: Of a chunk: version, stored length (3 bytes), scheme, length (3 bytes).
_CHUNK_HEADER = 8
_HAS_VERIFICATION, _HAS_SHA256 = 1 << 31, 1 << 30


def _path(hub: Hub, kind: str, name: str) -> Path:
    folder = hub.root / "xet" / kind
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name


def _printed(raw: bytes) -> str:
    """A hash as the library prints it: four little-endian numbers of 64 bits."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", raw))


@route("GET", rf"{REPO}/xet-(write|read)-token/([^/]+)")
def token(hub: Hub, request: Request, kinds: str, name: str, what: str, revision: str) -> Reply:
    own_ref = request.flag("create_pr") or unquote(revision).startswith("refs/pr/")
    repo(hub, request, kinds, name, write=what == "write" and not own_ref)
    until, address = int(time.time()) + 3600, f"{hub.url}/cas"
    headers = {
        "X-Xet-Access-Token": "x", "X-Xet-Token-Expiration": str(until), "X-Xet-Cas-Url": address,
    }  # fmt: skip
    return Reply({"accessToken": "x", "exp": until, "casUrl": address}, headers=headers)


@route("POST", r"/cas/(?:v\d/)?xorbs?/[^/]+/([0-9a-f]{64})")
def xorb(hub: Hub, request: Request, name: str) -> Reply:
    path = _path(hub, "xorbs", name)
    new, temporary = not path.exists(), path.with_name(f"{name}.{uuid.uuid4().hex}")
    with temporary.open("wb") as file:
        for piece in request.chunks:
            file.write(piece)
    temporary.replace(path)
    return Reply({"was_inserted": new})


@route("POST", r"/cas/(?:v1/)?shards?")
def shard(hub: Hub, request: Request) -> Reply:
    data, at = request.body(), _HEADER
    while at + _ENTRY <= len(data):
        name, flags, segments, _ = struct.unpack_from("<32sIIQ", data, at)
        if name == b"\xff" * 32:  # the end of the files
            break
        rows = [struct.unpack_from("<32sIIII", data, at + _ENTRY * (place + 1)) for place in range(segments)]
        at += _ENTRY + _ENTRY * segments * (2 if flags & _HAS_VERIFICATION else 1)
        terms = [
            {"hash": _printed(row[0]), "unpacked_length": row[2], "range": {"start": row[3], "end": row[4]}}
            for row in rows
        ]
        if any(not _path(hub, "xorbs", str(term["hash"])).exists() for term in terms):
            raise Refused(400, "the shard names a xorb that was never uploaded")
        _path(hub, "files", _printed(name)).write_text(json.dumps(terms))
        if flags & _HAS_SHA256:
            _path(hub, "sha256", _printed(data[at : at + 32])).write_text(_printed(name))
            at += _ENTRY
    return Reply({"result": 1})


@route("GET", r"/cas/v1/reconstructions/([0-9a-f]{64})")
def reconstruction(hub: Hub, request: Request, name: str) -> Reply:
    path = _path(hub, "files", name)
    if not path.exists():
        raise Refused(404, "no such file")
    terms, skip = _wanted(json.loads(path.read_text()), request.headers.get("range", ""))
    fetch: dict[str, list[dict[str, Any]]] = {}
    for term in terms:
        offsets = _chunk_offsets(_path(hub, "xorbs", term["hash"]))
        start, end = term["range"]["start"], term["range"]["end"]
        reach = {"start": offsets[start], "end": offsets[end] - 1}
        one = {"range": term["range"], "url": f"{hub.url}/cas/blob/{term['hash']}", "url_range": reach}
        fetch.setdefault(term["hash"], []).append(one)
    return Reply({"offset_into_first_range": skip, "terms": terms, "fetch_info": fetch})


def _wanted(terms: list[dict[str, Any]], header: str) -> tuple[list[dict[str, Any]], int]:
    """The terms that overlap a range of the file, and how far into the first of them it begins."""
    match = re.fullmatch(r"bytes=(\d+)-(\d*)", header)
    if not match:
        return terms, 0
    size = sum(term["unpacked_length"] for term in terms)
    low, high = int(match[1]), min(size, int(match[2]) + 1) if match[2] else size
    if low >= size:
        raise Refused(416, "The range is beyond the end")
    kept, skip, at = [], 0, 0
    for term in terms:
        end = at + term["unpacked_length"]
        if end > low and at < high:
            skip = skip if kept else low - at
            kept.append(term)
        at = end
    return kept, skip


@lru_cache(maxsize=256)
def _chunk_offsets(path: Path) -> list[int]:
    """Where the chunks of a xorb begin, and where the last one ends; what follows them is an index."""
    offsets, size = [0], path.stat().st_size
    with path.open("rb") as file:
        while len(header := file.read(_CHUNK_HEADER)) == _CHUNK_HEADER and header[0] == 0 and file.tell() < size:
            offsets.append(file.seek(int.from_bytes(header[1:4], "little"), 1))
    return offsets


def _chunks(path: Path, start: int, end: int) -> Iterator[bytes]:
    """The contents of some chunks of a xorb."""
    offsets = _chunk_offsets(path)
    with path.open("rb") as file:
        file.seek(offsets[start])
        for _ in range(start, end):
            header = file.read(_CHUNK_HEADER)
            stored, scheme = int.from_bytes(header[1:4], "little"), header[4]
            yield _unpacked(file.read(stored), scheme, int.from_bytes(header[5:8], "little"))


def _unpacked(data: bytes, scheme: int, size: int) -> bytes:
    """A chunk as it was: stored as it is (0), in an LZ4 frame (1), or so with every fourth byte together (2)."""
    if scheme == 0:
        return data
    plain: bytes = pa.decompress(data, decompressed_size=size, codec="lz4", asbytes=True)
    if scheme == 1:
        return plain
    whole, rest, at = np.empty(size, np.uint8), np.frombuffer(plain, np.uint8), 0
    for place in range(4):
        length = len(whole[place::4])
        whole[place::4] = rest[at : at + length]
        at += length
    return whole.tobytes()


@route("GET", r"/cas/blob/([0-9a-f]{64})")
def blob(hub: Hub, request: Request, name: str) -> Reply:
    from tests.support.hub_server.contents import ranged

    return ranged(request, _path(hub, "xorbs", name), {"Content-Type": "application/octet-stream"})


def fetched(hub: Hub, sha256: str) -> str:
    """The xet hash of a file that came this way, made a plain content too; "" when it did not."""
    known = _path(hub, "sha256", sha256)
    if not known.exists():
        return ""
    name = known.read_text()
    if not hub.blob(sha256).exists():
        temporary, digest = hub.blob(sha256).with_name(f"{sha256}.{uuid.uuid4().hex}"), hashlib.sha256()
        with temporary.open("wb") as file:
            for term in json.loads(_path(hub, "files", name).read_text()):
                for data in _chunks(_path(hub, "xorbs", term["hash"]), term["range"]["start"], term["range"]["end"]):
                    digest.update(data)
                    file.write(data)
        if digest.hexdigest() != sha256:
            temporary.unlink()
            raise Refused(400, "Content does not match the oid")
        temporary.replace(hub.blob(sha256))
    return name
