"""Collections of repos."""

import hashlib
import re

from tests.support.hub_server.state import Hub, Refused, now
from tests.support.hub_server.web import Reply, Request, route, user, writer


@route("POST", "/api/collections")
def create(hub: Hub, request: Request) -> Reply:
    body = request.json()
    writer(hub, request, body["namespace"])
    key = hashlib.md5(f"{body['namespace']}/{body['title']}".encode()).hexdigest()[:24]
    slug = f"{body['namespace']}/{re.sub(r'[^a-z0-9]+', '-', body['title'].lower()).strip('-')}-{key}"
    if slug in hub.collections:
        raise Refused(409, "exists", body={"error": "This collection already exists", "slug": slug})
    hub.collections[slug] = {
        "slug": slug, "title": body["title"], "description": body.get("description"),
        "owner": {"name": body["namespace"], "type": "user"}, "items": [], "lastUpdated": now(), "position": 0,
        "private": bool(body.get("private")), "theme": "blue", "upvotes": 0,
    }  # fmt: skip
    return Reply(hub.collections[slug])


@route("GET", r"/api/collections/([^/]+/[^/]+)")
def read(hub: Hub, request: Request, slug: str) -> Reply:
    found = hub.collections.get(slug)
    who = user(hub, request)
    if found is None or (found["private"] and not (who and who.owns(found["owner"]["name"]))):
        raise Refused(404, "Collection not found")
    return Reply(found)


@route("POST", r"/api/collections/([^/]+/[^/]+)/items")
def add(hub: Hub, request: Request, slug: str) -> Reply:
    body, found = request.json(), hub.collections.get(slug)
    if found is None:
        raise Refused(404, "Collection not found")
    writer(hub, request, found["owner"]["name"])
    item = body["item"]
    if (item["type"], item["id"]) not in hub.repos:
        raise Refused(404, "Repository not found", "RepoNotFound")
    if any(one["id"] == item["id"] and one["type"] == item["type"] for one in found["items"]):
        raise Refused(409, "The item is already in the collection")
    note = {"text": body["note"]} if body.get("note") else None
    found["items"].append(
        {
            "_id": hashlib.md5(item["id"].encode()).hexdigest()[:24],
            **item,
            "position": len(found["items"]),
            "note": note,
        }
    )
    return Reply(found)
