"""Reading files: small ones directly, large ones from another host name, as the real content network has one."""

import re
from pathlib import Path
from urllib.parse import unquote

from tests.support.hub_server.state import Hub, Refused
from tests.support.hub_server.web import Reply, Request, repo, route


@route("GET|HEAD", r"/(?:(datasets|spaces)/)?([^/]+/[^/]+)/(?:resolve|raw)/([^/]+)/(.+)")
def resolve(hub: Hub, request: Request, kinds: str | None, name: str, revision: str, path: str) -> Reply:
    found = repo(hub, request, kinds, name)
    oid, entry = found.oid(unquote(revision)), found.tree(unquote(revision)).get(unquote(path))
    if entry is None:
        raise Refused(404, "Entry not found", "EntryNotFound")
    headers = {"X-Repo-Commit": oid, "ETag": f'"{entry.oid}"'}
    if not entry.pointer:
        return ranged(request, hub.blob(entry.sha256), headers | {"Content-Type": "text/plain; charset=utf-8"})
    # The clients follow a redirect that stays on the Hub's host, and would then miss X-Repo-Commit.
    host, port = request.headers["host"].split(":")
    other = "localhost" if host == "127.0.0.1" else "127.0.0.1"
    headers |= {"X-Linked-Etag": f'"{entry.sha256}"', "X-Linked-Size": str(entry.size)}
    headers["Location"] = f"http://{other}:{port}/cdn/{entry.sha256}"
    if entry.xet:
        refresh = f"{hub.url}/api/{kinds or 'models'}/{name}/xet-read-token/{oid}"
        headers |= {"X-Xet-Hash": entry.xet, "X-Xet-Refresh-Route": refresh}
    return Reply(status=302, headers=headers)


@route("GET|HEAD", r"/cdn/([0-9a-f]{64})")
def cdn(hub: Hub, request: Request, sha256: str) -> Reply:
    return ranged(request, hub.blob(sha256), {"ETag": f'"{sha256}"', "Content-Type": "application/octet-stream"})


def ranged(request: Request, path: Path, headers: dict[str, str]) -> Reply:
    """A file, or the range of it that was asked for."""
    size = path.stat().st_size
    headers |= {"Accept-Ranges": "bytes"}
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("range", ""))
    if not match:
        return Reply(file=path, headers=headers)
    if match[1]:
        start, end = int(match[1]), min(int(match[2]) + 1, size) if match[2] else size
    else:
        start, end = max(0, size - int(match[2])), size
    if start >= size:
        raise Refused(416, "The range is beyond the end")
    headers |= {"Content-Range": f"bytes {start}-{end - 1}/{size}"}
    return Reply(file=path, status=206, headers=headers, start=start, end=end)
