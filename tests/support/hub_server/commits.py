"""Commits: a header and one line a file, applied to a branch or a pull request's ref all at once."""

import base64
import json
from typing import Any
from urllib.parse import unquote

from tests.support.hub_server import xet
from tests.support.hub_server.state import Entry, Hub, Refused
from tests.support.hub_server.web import REPO, Reply, Request, repo, route, user


@route("POST", rf"{REPO}/commit/([^/]+)")
def commit(hub: Hub, request: Request, kinds: str, name: str, revision: str) -> Reply:
    branch, lines = unquote(revision), [json.loads(line) for line in request.body().splitlines() if line.strip()]
    found = repo(hub, request, kinds, name, write=not branch.startswith("refs/pr/"))
    who = user(hub, request)
    if who is None:
        raise Refused(401, "Unauthorized")
    header = lines[0]["value"]
    if lines[0]["key"] != "header" or not header.get("summary"):
        raise Refused(400, "The first line must be the header")
    if branch not in found.branches:
        raise Refused(404, f"Invalid rev id: {branch}", "RevisionNotFound")
    # Large contents first: fetching them takes time, in which others may commit.
    contents = [_contents(hub, line["key"], line["value"]) for line in lines[1:]]
    with hub.lock:
        if header.get("parentCommit", found.branches[branch]) != found.branches[branch]:
            raise Refused(412, "A commit has happened since. Please refresh and try again.")
        tree = dict(found.tree(branch))
        for line, entry in zip(lines[1:], contents, strict=True):
            _apply(tree, line["key"], line["value"], entry)
        oid = found.commit(branch, tree, header["summary"], who.name)
    url = f"{hub.url}/{kinds}/{name}/commit/{oid}"
    return Reply({"success": True, "commitOid": oid, "commitUrl": url, "hookOutput": ""})


def _contents(hub: Hub, key: str, value: dict[str, Any]) -> Entry | None:
    path = value["path"]
    if path.startswith("/") or {"..", ".git"} & set(path.split("/")):
        raise Refused(400, f"Invalid path in repo: {path}")
    if key == "file":
        return hub.plain(base64.b64decode(value["content"]))
    if key == "lfsFile":
        hashed = xet.fetched(hub, value["oid"])
        if not hub.blob(value["oid"]).exists():
            raise Refused(400, f"LFS pointer pointed to a file that does not exist: {path}")
        return hub.large(value["oid"], hashed)
    if key in ("deletedFile", "deletedFolder"):
        return None
    raise Refused(400, f"unknown key {key}")


def _apply(tree: dict[str, Entry], key: str, value: dict[str, Any], entry: Entry | None) -> None:
    path = value["path"]
    if entry is not None:
        tree[path] = entry
        return
    below = f"{path.rstrip('/')}/"
    gone = [one for one in tree if one == path or (key == "deletedFolder" and one.startswith(below))]
    if not gone:
        raise Refused(404, "A file with this name doesn't exist", "EntryNotFound")
    for one in gone:
        del tree[one]
