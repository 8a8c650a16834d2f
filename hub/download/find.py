"""Resolve a name to repos: a prefix, one repo, or a collection.

Without a network the name is looked up in the cache of huggingface_hub.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import constants
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from capcurriculum.errors import HubError
from hub.client import Hub
from hub.patience import Unreachable
from hub.publish.names import SUFFIX

_COLLECTION = re.compile(r"[^/]+/.+-[0-9a-f]{24}")


@dataclass(frozen=True, slots=True)
class Found:
    """Ids of repos, and whether they come from the Hub or from the cache."""

    repos: tuple[str, ...]
    online: bool


def find(hub: Hub, name: str) -> Found:
    """The repos of a prefix, a repo id, or a collection's slug or URL.

    Raises:
        HubError: there are none, or the Hub fails.
    """
    name = name.removeprefix("https://huggingface.co/").removeprefix("datasets/").strip("/")
    if name.startswith("collections/"):
        name = name.removeprefix("collections/")
    elif not _COLLECTION.fullmatch(name):
        _check_id(name)
    if constants.is_offline_mode():
        return Found(_cached(name), online=False)
    try:
        return Found(_online(hub, name), online=True)
    except Unreachable as error:
        try:
            repos = _cached(name)
        except HubError:
            raise error from None
        hub.patience.note("The Hub cannot be reached; using what the cache holds.")
        return Found(repos, online=False)


def _online(hub: Hub, name: str) -> tuple[str, ...]:
    if _COLLECTION.fullmatch(name):
        found = hub.ask(f"read the collection {name}", "get_collection", name)
        repos = tuple(item.item_id for item in found.items if item.item_type == "dataset")
        if not repos:
            raise HubError(f"The collection {name} holds no data sets; check its slug.")
        return repos
    doing = f"look for {name}"
    if hub.ask(doing, "repo_exists", name, repo_type="dataset"):
        return (name,)
    namespace, _, prefix = name.partition("/")
    listed = hub.patience.persist(doing, lambda: list(hub.api.list_datasets(author=namespace, search=prefix)))
    repos = _matching([one.id for one in listed], name)
    if not repos:
        raise HubError(
            f"The Hub has no data set {name}, and none called {name}-...{SUFFIX}; check the name, and log in with "
            "`hf auth login` if it is private."
        )
    return repos


def _check_id(name: str) -> None:
    try:
        validate_repo_id(name)
        if "/" not in name:
            raise HFValidationError("it names no user or organization")
    except HFValidationError as error:
        raise HubError(
            f"{name!r} names nothing on the Hub: give namespace/prefix, a repo's id, or a collection."
        ) from error


def _matching(ids: Sequence[str], name: str) -> tuple[str, ...]:
    """The ids of a publication with this prefix: one repo with all sets, or a repo for each."""
    if f"{name}{SUFFIX}" in ids:
        return (f"{name}{SUFFIX}",)
    return tuple(sorted(one for one in ids if one.startswith(f"{name}-") and one.endswith(SUFFIX)))


def _cached(name: str) -> tuple[str, ...]:
    if _COLLECTION.fullmatch(name):
        raise HubError(f"Offline, a collection cannot be looked up; name the repos of {name} by their prefix instead.")
    folders = Path(constants.HF_HUB_CACHE).glob("datasets--*")
    ids = [folder.name.removeprefix("datasets--").replace("--", "/", 1) for folder in folders if folder.is_dir()]
    repos = (name,) if name in ids else _matching(ids, name)
    if not repos:
        raise HubError(f"The cache holds nothing of {name}; download it once with a network (HF_HUB_OFFLINE unset).")
    return repos
