"""Shared by publishing data sets and models: creating repos, tags, collections, and the run's `published.json`."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from capcurriculum.errors import HubError
from capcurriculum.files import json_file
from capcurriculum.run import Run
from capcurriculum.tables import write_atomically
from hub.client import Hub
from hub.publish import remote
from hub.publish.remote import Remote, Target

#: In the run's folder: ids of repos and commits.
NOTE = "published.json"


def prepare(hub: Hub, target: Target, check: Callable[[Remote], None], private: bool, tag: str) -> str:
    """Create the repo if it does not exist; returns `tag` if the head of an existing one has it, else "".

    Raises:
        HubError: `check` refuses what the repo holds, it is public and `private` is set, another commit has the tag, or
            a pull request is to be opened on a repo that does not exist.
    """
    found = remote.look(hub, target, "main")
    if found is None:
        if target.pull:
            raise HubError(f"{target.repo_id} is not on the Hub yet, so nothing can be asked of it; leave out --pr.")
        hub.ask(f"create the repo {target.repo_id}", "create_repo", **target.spec, private=private, exist_ok=True)
        return ""
    check(found)
    if private and not found.private:
        raise HubError(
            f"{target.repo_id} exists and is public, and --private was asked for; make it private in its settings, or "
            "publish under another name."
        )
    return tag if tag and is_tagged(hub, target, tag, found.head) else ""


def is_tagged(hub: Hub, target: Target, name: str, oid: str) -> bool:
    """Whether a commit has a tag.

    Raises:
        HubError: another commit has this tag.
    """
    refs = hub.ask(f"look at the tags of {target.repo_id}", "list_repo_refs", **target.spec)
    there = {one.name: one.target_commit for one in refs.tags}
    if there.get(name, oid) != oid:
        raise HubError(f"The tag {name} of {target.repo_id} marks {there[name][:12]} already; give another --tag.")
    return name in there


def tag(hub: Hub, target: Target, name: str, oid: str) -> None:
    """Tag a commit, unless it has the tag already.

    Raises:
        HubError: another commit has this tag.
    """
    if not is_tagged(hub, target, name, oid):
        hub.ask(f"tag {target.repo_id}", "create_tag", **target.spec, tag=name, revision=oid, exist_ok=True)


def note(run: Run, order: str, repos: Sequence[tuple[str, str]]) -> None:
    """Write `published.json`: the (repo, commit) pairs of an order, in the order they are trained."""
    facts = {"order": order, "repos": [repo for repo, _ in repos], "commits": dict(repos)}
    write_atomically(run.path / NOTE, (json.dumps(facts, indent=1) + "\n").encode())


def read(run: Run) -> Mapping[str, Any]:
    """The content of `published.json`; empty if the run was not published."""
    try:
        return json_file.mapping(run.path / NOTE)
    except (OSError, ValueError):
        return {}


def collect(hub: Hub, namespace: str, title: str, repos: Sequence[str], private: bool) -> str:
    """Create the collection or add the missing repos to it; returns its slug.

    Raises:
        HubError: the Hub refuses; the repos stay published.
    """
    doing = f"put the sets into the collection {title!r}"
    found = hub.ask(doing, "create_collection", title, namespace=namespace, private=private, exists_ok=True)
    there = {item.item_id for item in found.items if item.item_type == "dataset"}
    for place, repo in enumerate(repos, 1):
        if repo not in there:
            note = f"Stage {place} of {len(repos)}" if len(repos) > 1 else None
            hub.ask(doing, "add_collection_item", found.slug, repo, "dataset", note=note, exists_ok=True)
    return str(found.slug)
