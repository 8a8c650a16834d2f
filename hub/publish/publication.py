"""What is common to publishing data and models: visibility, tags, and the run's note of where its sets went."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from capcurriculum.errors import HubError
from capcurriculum.files import json_file
from capcurriculum.run import Run
from capcurriculum.tables import write_atomically
from hub.client import Hub
from hub.publish.remote import Remote, Target

#: In the run's folder; names of repos and commits, nothing else.
NOTE = "published.json"


def check_private(found: Remote, target: Target, private: bool) -> None:
    """Refuse to put into a public repo what shall be private.

    Raises:
        HubError: that was asked for.
    """
    if private and not found.private:
        raise HubError(
            f"{target.repo_id} exists and is public, and --private was asked for; make it private in its settings, or "
            "publish under another name."
        )


def is_tagged(hub: Hub, target: Target, name: str, oid: str) -> bool:
    """Whether a commit has a tag.

    Raises:
        HubError: another commit has it.
    """
    refs = hub.ask(f"look at the tags of {target.repo_id}", "list_repo_refs", **target.spec)
    there = {one.name: one.target_commit for one in refs.tags}
    if there.get(name, oid) != oid:
        raise HubError(f"The tag {name} of {target.repo_id} marks {there[name][:12]} already; give another --tag.")
    return name in there


def tag(hub: Hub, target: Target, name: str, oid: str) -> None:
    """Tag a commit, unless it has the tag.

    Raises:
        HubError: another commit has it.
    """
    if not is_tagged(hub, target, name, oid):
        hub.ask(f"tag {target.repo_id}", "create_tag", **target.spec, tag=name, revision=oid, exist_ok=True)


def note(run: Run, order: str, repos: Sequence[tuple[str, str]]) -> None:
    """Remember in the run where its sets went, as (repo, commit) in the order they are trained."""
    said = {"order": order, "repos": [repo for repo, _ in repos], "commits": dict(repos)}
    write_atomically(run.path / NOTE, (json.dumps(said, indent=1) + "\n").encode())


def read(run: Run) -> Mapping[str, Any]:
    """What the run remembers; nothing if it was not published."""
    try:
        found = json_file.read(run.path / NOTE)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def collect(hub: Hub, namespace: str, title: str, repos: Sequence[str], private: bool) -> str:
    """Make the collection, or add to it what it lacks; returns its slug.

    Raises:
        HubError: it could not be done; the repos are published all the same.
    """
    doing = f"put the sets into the collection {title!r}"
    found = hub.ask(doing, "create_collection", title, namespace=namespace, private=private, exists_ok=True)
    there = {item.item_id for item in found.items if item.item_type == "dataset"}
    for place, repo in enumerate(repos, 1):
        if repo not in there:
            note = f"Stage {place} of {len(repos)}" if len(repos) > 1 else None
            hub.ask(doing, "add_collection_item", found.slug, repo, "dataset", note=note, exists_ok=True)
    return str(found.slug)
