"""Large files by the LFS protocol: which files are large, batches, uploads whole or in parts, all checked by sha256."""

import base64
import fnmatch
import hashlib
import os
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tests.support.hub_server.state import LARGE, Hub, Refused
from tests.support.hub_server.web import REPO, Reply, Request, repo, route

_ALWAYS_LARGE = 10 * 2**20


@route("POST", rf"{REPO}/preupload/([^/]+)")
def preupload(hub: Hub, request: Request, kinds: str, name: str, revision: str) -> Reply:
    own_ref = request.flag("create_pr") or unquote(revision).startswith("refs/pr/")
    found = repo(hub, request, kinds, name, write=not own_ref)
    files, body = found.tree(unquote(revision)), request.json()
    ignored = [line for line in (body.get("gitIgnore") or "").splitlines() if line and not line.startswith("#")]
    seen = []
    for asked in body["files"]:
        path, sample = asked["path"], base64.b64decode(asked.get("sample") or "")
        last = path.rsplit("/", 1)[-1]
        large = asked["size"] > _ALWAYS_LARGE or b"\0" in sample or any(fnmatch.fnmatch(last, p) for p in LARGE)
        about: dict[str, Any] = {
            "path": path,
            "uploadMode": "lfs" if large else "regular",
            "shouldIgnore": any(fnmatch.fnmatch(path, pattern) for pattern in ignored),
        }
        if path in files:
            about["oid"] = files[path].sha256 if files[path].pointer else files[path].oid
        seen.append(about)
    return Reply({"files": seen, "commitOid": found.oid(unquote(revision))})


@route("POST", r"/(?:(datasets|spaces)/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch")
def batch(hub: Hub, request: Request, kinds: str | None, name: str) -> Reply:
    repo(hub, request, kinds, name)
    body = request.json()
    return Reply({"transfer": "basic", "objects": [_action(hub, one, body["transfers"]) for one in body["objects"]]})


def _action(hub: Hub, asked: dict[str, Any], transfers: list[str]) -> dict[str, Any]:
    sha256, size = asked["oid"], asked["size"]
    if hub.blob(sha256).exists():
        return {"oid": sha256, "size": size}
    verify = {"href": f"{hub.url}/lfs/verify", "header": {}}
    if hub.part_bytes and size > hub.part_bytes and "multipart" in transfers:
        numbers = range(1, -(-size // hub.part_bytes) + 1)
        header = {"chunk_size": str(hub.part_bytes)}
        header |= {str(number): f"{hub.url}/lfs/part/{sha256}/{number}" for number in numbers}
        upload = {"href": f"{hub.url}/lfs/complete/{sha256}", "header": header}
    else:
        upload = {"href": f"{hub.url}/lfs/put/{sha256}", "header": {}}
    return {"oid": sha256, "size": size, "actions": {"upload": upload, "verify": verify}}


def _receive(request: Request, path: Path) -> str:
    """Write the body to `path`; a request that breaks off leaves nothing there."""
    digest, temporary = hashlib.sha256(), path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("wb") as handle:
            for chunk in request.chunks:
                digest.update(chunk)
                handle.write(chunk)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return digest.hexdigest()


def _keep(hub: Hub, path: Path, sha256: str, found: str) -> None:
    if found != sha256:
        path.unlink()
        raise Refused(400, "Content does not match the oid")
    path.replace(hub.blob(sha256))


@route("PUT", r"/lfs/put/([0-9a-f]{64})")
def put(hub: Hub, request: Request, sha256: str) -> Reply:
    path = hub.blob(sha256).with_name(f"{sha256}.whole")
    _keep(hub, path, sha256, _receive(request, path))
    return Reply()


@route("PUT", r"/lfs/part/([0-9a-f]{64})/(\d+)")
def part(hub: Hub, request: Request, sha256: str, number: str) -> Reply:
    etag = _receive(request, hub.blob(sha256).with_name(f"{sha256}.part{number}"))
    return Reply(headers={"ETag": f'"{etag}"'})


@route("POST", r"/lfs/complete/([0-9a-f]{64})")
def complete(hub: Hub, request: Request, sha256: str) -> Reply:
    parts = sorted(int(one["partNumber"]) for one in request.json()["parts"])
    whole, digest = hub.blob(sha256).with_name(f"{sha256}.whole"), hashlib.sha256()
    with whole.open("wb") as out:
        for number in parts:
            path = whole.with_name(f"{sha256}.part{number}")
            data = path.read_bytes()
            digest.update(data)
            out.write(data)
            os.unlink(path)
    _keep(hub, whole, sha256, digest.hexdigest())
    return Reply({})


@route("POST", "/lfs/verify")
def verify(hub: Hub, request: Request) -> Reply:
    body = request.json()
    path = hub.blob(body["oid"])
    if not path.exists() or path.stat().st_size != body["size"]:
        raise Refused(404, "Object does not exist or has another size")
    return Reply({})
