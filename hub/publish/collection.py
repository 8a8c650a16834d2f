"""The collection that holds the sets of a run in the order they are trained."""

from collections.abc import Sequence

from hub.client import Hub


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
