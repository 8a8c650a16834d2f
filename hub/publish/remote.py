"""The content of a repo, and its difference to a staged folder.

Files are compared by the digests in the Hub's listing, so an unchanged repo costs no upload and no download.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path
from typing import Any

from capcurriculum.errors import HubError
from capcurriculum.files import json_file
from curricula import order_file
from hub.client import Hub
from hub.publish.stage import PUBLISHED, sha256

#: Files that an otherwise empty repo may hold.
FRESH = frozenset({".gitattributes", "README.md", "LICENSE", "LICENSE.md", "LICENSE.txt"})
#: Folders beside the shards that a publication owns: the card's images, and the environment.
_OURS = ("pictures/", "environment/")
#: Bytes of a card or an `order.json` that is read from the Hub.
MAX_TEXT = 20_000_000


@dataclass(frozen=True, slots=True)
class Target:
    """A repo and the branch to publish to, or a new pull request (`pull`)."""

    repo_id: str
    kind: str = "dataset"
    branch: str = "main"
    pull: bool = False

    @property
    def spec(self) -> dict[str, str]:
        """Keyword arguments of `HfApi` methods."""
        return {"repo_id": self.repo_id, "repo_type": self.kind}


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as the Hub lists it: its size in bytes, git's blob id, and "" or the SHA-256 of an LFS file."""

    size: int
    oid: str
    sha256: str = ""


@dataclass(frozen=True)
class LocalFile:
    """A staged file, with digests computed on first use."""

    path: Path

    @cached_property
    def size(self) -> int:
        """Bytes."""
        return self.path.stat().st_size

    @cached_property
    def sha256(self) -> str:
        """Hexadecimal SHA-256 of the content."""
        return sha256(self.path)

    @cached_property
    def oid(self) -> str:
        """Git's blob id of the content."""
        data = self.path.read_bytes()
        return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()

    def is_in(self, other: RemoteFile | None) -> bool:
        """Whether the Hub has these bytes."""
        if other is None or other.size != self.size:
            return False
        return other.sha256 == self.sha256 if other.sha256 else other.oid == self.oid


@dataclass(frozen=True, slots=True)
class Remote:
    """One commit of a repo; `published` is the description of the last publication in its `order.json`, or empty."""

    head: str
    private: bool
    files: Mapping[str, RemoteFile]
    published: Mapping[str, Any] = field(default_factory=dict)


def local_files(folder: Path) -> dict[str, LocalFile]:
    """Name in the repo -> file, for every file below a staged folder."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): LocalFile(path) for path in found}


def look(hub: Hub, target: Target, revision: str) -> Remote | None:
    """The repo at a revision; None if it does not exist.

    Raises:
        HubError: the Hub refuses, or does not have the revision.
    """
    doing = f"look at {target.repo_id}"
    if not hub.ask(doing, "repo_exists", **target.spec):
        return None
    about = hub.ask(doing, "repo_info", **target.spec, revision=revision)
    listed = hub.patience.persist(
        doing, lambda: list(hub.api.list_repo_tree(**target.spec, revision=about.sha, recursive=True))
    )
    files = {
        one.path: RemoteFile(one.size, one.blob_id, one.lfs.sha256 if one.lfs else "")
        for one in listed
        if hasattr(one, "blob_id")
    }
    path = text_of(hub, target, about.sha, order_file.NAME, files)
    try:
        published = json_file.mapping(path).get(PUBLISHED) if path else None
    except (OSError, ValueError):
        published = None
    return Remote(about.sha, bool(about.private), files, published if isinstance(published, dict) else {})


def text_of(hub: Hub, target: Target, head: str, name: str, files: Mapping[str, RemoteFile]) -> Path | None:
    """A file of the repo, downloaded into the cache; None if it does not exist or is larger than `MAX_TEXT`."""
    if name not in files or files[name].size > MAX_TEXT:
        return None
    doing = f"read {name} of {target.repo_id}"
    return Path(hub.ask(doing, "hf_hub_download", **target.spec, filename=name, revision=head))


def check_ours(remote: Remote, target: Target, recipe: str, overwrite: bool) -> None:
    """Refuse to overwrite a repo that this recipe did not publish.

    Raises:
        HubError: the repo holds other files, or the sets of another recipe.
    """
    theirs = sorted(set(remote.files) - FRESH)
    if overwrite or not theirs:
        return
    if not remote.published:
        raise HubError(
            f"{target.repo_id} exists and holds files that are not of this program ({', '.join(theirs[:3])}, ...); "
            "give another publish.prefix, or --overwrite to put this set in their place."
        )
    if remote.published.get("recipe") != recipe:
        raise HubError(
            f"{target.repo_id} holds the sets of another recipe ({str(remote.published.get('recipe'))[:60]!r}, not "
            f"{recipe!r}); give another publish.prefix, or --overwrite to replace them."
        )


def stale(remote: Remote, local: Mapping[str, LocalFile], patterns: Mapping[str, str], overwrite: bool) -> list[str]:
    """Files to delete: those of an earlier publication, and those that the patterns of the new splits would match."""
    earlier = remote.published.get("files")
    replaced = set(earlier) if isinstance(earlier, dict) else set()
    replaced |= {name for name in remote.files if name.startswith(_OURS) and remote.published}
    if overwrite or remote.published:
        replaced |= {name for name in remote.files for pattern in patterns.values() if fnmatch(name, pattern)}
    return sorted((replaced & set(remote.files)) - set(local))
