"""Pull requests: discussions with a ref of their own, `refs/pr/<number>`."""

from typing import Any

from tests.support.hub_server.state import Hub, Pull, Refused, Repo, now
from tests.support.hub_server.web import REPO, Reply, Request, repo, route, user


def _about(found: Repo, pull: Pull) -> dict[str, Any]:
    return {
        "num": pull.num, "title": pull.title, "author": {"name": pull.author}, "createdAt": pull.date,
        "status": pull.status, "repo": {"name": found.id, "type": found.kind}, "isPullRequest": True,
        "events": [], "filesWithConflicts": [], "changes": {"base": "refs/heads/main"}, "diff": "",
    }  # fmt: skip


@route("POST", rf"{REPO}/discussions")
def create(hub: Hub, request: Request, kinds: str, name: str) -> Reply:
    found, who, body = repo(hub, request, kinds, name), user(hub, request), request.json()
    if who is None or who.role != "write":
        raise Refused(403 if who else 401, "Forbidden")
    with hub.lock:
        pull = Pull(len(found.pulls) + 1, body["title"], body["description"], who.name)
        found.pulls.append(pull)
        found.branches[f"refs/pr/{pull.num}"] = found.oid("main")
    return Reply({"num": pull.num})


@route("GET", rf"{REPO}/discussions")
def listed(hub: Hub, request: Request, kinds: str, name: str) -> Reply:
    found = repo(hub, request, kinds, name)
    seen = [p for p in found.pulls if request.said("author", p.author) == p.author]
    if request.said("status") == "open":
        seen = [p for p in seen if p.status in ("open", "draft")]
    return Reply({"count": len(seen), "start": 0, "discussions": [_about(found, pull) for pull in seen]})


def _pull(found: Repo, number: str) -> Pull:
    if not 0 < int(number) <= len(found.pulls):
        raise Refused(404, "No such discussion")
    return found.pulls[int(number) - 1]


@route("GET", rf"{REPO}/discussions/(\d+)")
def details(hub: Hub, request: Request, kinds: str, name: str, number: str) -> Reply:
    found = repo(hub, request, kinds, name)
    return Reply(_about(found, _pull(found, number)))


@route("POST", rf"{REPO}/discussions/(\d+)/status")
def status(hub: Hub, request: Request, kinds: str, name: str, number: str) -> Reply:
    found, who, body = repo(hub, request, kinds, name), user(hub, request), request.json()
    pull = _pull(found, number)
    if who is None or who.name != pull.author:
        raise Refused(403, "Forbidden")
    pull.status = body["status"]
    event = {
        "id": "0" * 24, "type": "status-change", "createdAt": now(), "author": {"name": who.name},
        "data": {"status": pull.status},
    }  # fmt: skip
    return Reply({"newStatus": event})
