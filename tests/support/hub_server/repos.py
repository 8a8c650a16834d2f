"""Who am I, repos, trees, refs, tags, branches: what the clients ask before and after files move."""

import hashlib
import json
import re
from typing import Any
from urllib.parse import parse_qs, unquote

import yaml

from tests.support.hub_server.state import Entry, Hub, Refused, Repo, now
from tests.support.hub_server.web import REPO, Reply, Request, repo, route, user, writer


@route("GET", "/api/whoami-v2")
def whoami(hub: Hub, request: Request) -> Reply:
    who = user(hub, request)
    if who is None:
        raise Refused(401, "Unauthorized")
    token = {"type": "access_token", "accessToken": {"displayName": "test", "role": who.role}}
    orgs = [{"name": name, "type": "org"} for name in who.orgs]
    return Reply({"type": "user", "id": who.name, "name": who.name, "fullname": who.name, "orgs": orgs, "auth": token})


@route("POST", "/api/repos/create")
def create(hub: Hub, request: Request) -> Reply:
    body = request.json()
    who = user(hub, request)
    namespace = body.get("organization") or (who.name if who else "")
    kind, name = body.get("type") or "model", f"{namespace}/{body['name']}"
    author = writer(hub, request, namespace)
    made = hub.create(kind, name, body.get("visibility") == "private" or bool(body.get("private")), author.name)
    return Reply(
        {"url": f"{hub.url}/{'' if kind == 'model' else kind + 's/'}{made.id}", "name": made.id, "id": made.id}
    )


@route("POST", "/api/validate-yaml")
def validate(hub: Hub, request: Request) -> Reply:
    try:
        metadata = _metadata(request.json()["content"])
        if metadata is not None and not isinstance(metadata, dict):
            raise yaml.YAMLError("metadata must be a mapping")
    except yaml.YAMLError as error:
        body = {"errors": [{"message": str(error)}], "warnings": []}
        raise Refused(400, "Invalid metadata in README.md", body=body) from error
    return Reply({"errors": [], "warnings": []})


def _metadata(text: str) -> Any:
    match = re.match(r"^---\r?\n(.*?)\r?\n---", text, re.DOTALL)
    return yaml.safe_load(match[1]) if match else None


@route("GET", r"/api/(models|datasets|spaces)")
def listed(hub: Hub, request: Request, kinds: str) -> Reply:
    who, author, search = user(hub, request), request.said("author"), request.said("search")
    seen = [
        _about(hub, one, "main", False)
        for one in hub.repos.values()
        if one.kind + "s" == kinds
        and author in ("", one.id.split("/")[0])
        and search.lower() in one.id.lower()
        and (not one.private or (who and who.owns(one.id.split("/")[0])))
    ]
    return Reply(seen)


@route("GET", rf"{REPO}(?:/revision/([^/]+))?")
def info(hub: Hub, request: Request, kinds: str, name: str, revision: str | None) -> Reply:
    return Reply(_about(hub, repo(hub, request, kinds, name), unquote(revision or "main"), request.flag("blobs")))


def _about(hub: Hub, found: Repo, revision: str, blobs: bool) -> dict[str, Any]:
    oid, tree = found.oid(revision), found.tree(revision)
    card: Any = {}
    if "README.md" in tree:
        card = _metadata(hub.blob(tree["README.md"].sha256).read_text(encoding="utf-8")) or {}
    siblings = [{"rfilename": path} | (file_info(path, entry) if blobs else {}) for path, entry in sorted(tree.items())]
    return {
        "_id": hashlib.md5(found.id.encode()).hexdigest()[:24], "id": found.id, "author": found.id.split("/")[0],
        "sha": oid, "private": found.private, "gated": False, "disabled": False, "downloads": 0, "likes": 0,
        "tags": [], "cardData": json.loads(json.dumps(card, default=str)), "siblings": siblings,
        "createdAt": now(), "lastModified": now(),
    }  # fmt: skip


def file_info(path: str, entry: Entry) -> dict[str, Any]:
    """A file as trees list it."""
    about: dict[str, Any] = {"type": "file", "oid": entry.oid, "size": entry.size, "path": path}
    if entry.pointer:
        about["lfs"] = {"oid": entry.sha256, "size": entry.size, "pointerSize": entry.pointer}
    return about | ({"xetHash": entry.xet} if entry.xet else {})


@route("GET", rf"{REPO}/tree/([^/]+)(?:/(.*))?")
def tree(hub: Hub, request: Request, kinds: str, name: str, revision: str, below: str | None) -> Reply:
    found = repo(hub, request, kinds, name)
    items = _listing(found.tree(unquote(revision)), unquote(below or ""), request.flag("recursive"))
    if request.flag("expand"):
        last = found.commits[found.oid(unquote(revision))]
        items = [item | {"lastCommit": {"id": last.oid, "title": last.title, "date": last.date}} for item in items]
    at, limit = int(request.said("cursor", "0")), int(request.said("limit", "1000"))
    headers = {}
    if at + limit < len(items):
        kept = "&".join(f"{key}={values[0]}" for key, values in request.query.items() if key != "cursor")
        headers["Link"] = f'<{hub.url}{request.path}?{kept}&cursor={at + limit}>; rel="next"'
    return Reply(items[at : at + limit], headers=headers)


def _listing(files: dict[str, Entry], below: str, recursive: bool) -> list[dict[str, Any]]:
    prefix = f"{below.strip('/')}/" if below.strip("/") else ""
    folders: dict[str, dict[str, Any]] = {}
    found = []
    for path in sorted(path for path in files if path.startswith(prefix)):
        parts = path[len(prefix) :].split("/")
        for depth in range(1, len(parts) if recursive else min(len(parts), 2)):
            folder = prefix + "/".join(parts[:depth])
            folders[folder] = _folder(folder)
        if recursive or len(parts) == 1:
            found.append(file_info(path, files[path]))
    if prefix and not folders and not found:
        raise Refused(404, f"{below} does not exist", "EntryNotFound")
    return [*folders.values(), *found]


def _folder(path: str) -> dict[str, Any]:
    return {"type": "directory", "oid": hashlib.sha1(path.encode()).hexdigest(), "size": 0, "path": path}


@route("POST", rf"{REPO}/paths-info/([^/]+)")
def paths_info(hub: Hub, request: Request, kinds: str, name: str, revision: str) -> Reply:
    files, raw = repo(hub, request, kinds, name).tree(unquote(revision)), request.body()
    paths = json.loads(raw)["paths"] if raw[:1] == b"{" else parse_qs(raw.decode()).get("paths", [])
    known = [path.strip("/") for path in paths]
    return Reply(
        [file_info(path, files[path]) for path in known if path in files]
        + [_folder(path) for path in known if any(file.startswith(f"{path}/") for file in files)]
    )


@route("GET", rf"{REPO}/refs")
def refs(hub: Hub, request: Request, kinds: str, name: str) -> Reply:
    found = repo(hub, request, kinds, name)

    def items(kind: str, named: dict[str, str]) -> list[dict[str, str]]:
        return [{"name": n, "ref": f"refs/{kind}/{n}", "targetCommit": oid} for n, oid in named.items()]

    heads = {name: oid for name, oid in found.branches.items() if not name.startswith("refs/pr/")}
    return Reply({"branches": items("heads", heads), "tags": items("tags", found.tags), "converts": []})


@route("GET", rf"{REPO}/commits/([^/]+)")
def commits(hub: Hub, request: Request, kinds: str, name: str, revision: str) -> Reply:
    found = repo(hub, request, kinds, name)
    oid, seen = found.oid(unquote(revision)), []
    while oid:
        one = found.commits[oid]
        authors = [{"user": one.author}]
        seen.append({"id": oid, "title": one.title, "message": "", "date": one.date, "authors": authors})
        oid = one.parent
    return Reply(seen)


@route("POST", rf"{REPO}/(branch|tag)/([^/]+)")
def new_ref(hub: Hub, request: Request, kinds: str, name: str, what: str, given: str) -> Reply:
    found, body = repo(hub, request, kinds, name, write=True), request.json()
    if what == "branch":
        named, new, start = found.branches, unquote(given), body.get("startingPoint") or "main"
    else:
        named, new, start = found.tags, body["tag"], unquote(given)
    with hub.lock:
        if new in named:
            raise Refused(409, f"Reference {new} already exists")
        named[new] = found.oid(start)
    return Reply({})
