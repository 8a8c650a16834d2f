"""What a repo holds now, and what it would take to make it hold a staged folder.

Files are compared by their digests as the Hub's listing gives them, so nothing is read or sent to find that nothing
changed.
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

#: What a repo may hold that nobody filled yet.
FRESH = frozenset({".gitattributes", "README.md", "LICENSE", "LICENSE.md", "LICENSE.txt"})
#: Bytes of a description or a card that is read from the Hub.
MAX_TEXT = 20_000_000


@dataclass(frozen=True, slots=True)
class Target:
    """Where to publish: a branch, or a pull request of its own (`pull`)."""

    repo_id: str
    kind: str = "dataset"
    branch: str = "main"
    pull: bool = False

    @property
    def spec(self) -> dict[str, str]:
        """The repo as the client's methods take it."""
        return {"repo_id": self.repo_id, "repo_type": self.kind}


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as the Hub lists it; `sha256` is "" where it is known by git's own `oid` only. `size` in bytes."""

    size: int
    oid: str
    sha256: str = ""


@dataclass(frozen=True)
class LocalFile:
    """A file of a staged folder, its digests computed when they are asked for."""

    path: Path

    @cached_property
    def size(self) -> int:
        """In bytes."""
        return self.path.stat().st_size

    @cached_property
    def sha256(self) -> str:
        """Of its bytes."""
        return sha256(self.path)

    @cached_property
    def oid(self) -> str:
        """What git calls it."""
        data = self.path.read_bytes()
        return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()

    def is_in(self, other: RemoteFile | None) -> bool:
        """Whether the Hub has these bytes."""
        if other is None or other.size != self.size:
            return False
        return other.sha256 == self.sha256 if other.sha256 else other.oid == self.oid


@dataclass(frozen=True, slots=True)
class Remote:
    """A revision of a repo; `published` is what its `order.json` says of an earlier publication, if it has one."""

    head: str
    private: bool
    files: Mapping[str, RemoteFile]
    published: Mapping[str, Any] = field(default_factory=dict)


def local_files(folder: Path) -> dict[str, LocalFile]:
    """Name in the repo -> file, of everything below a staged folder."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): LocalFile(path) for path in found}


def look(hub: Hub, target: Target, revision: str) -> Remote | None:
    """The repo as it is; None where there is none.

    Raises:
        HubError: it cannot be looked at.
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
    return Remote(about.sha, bool(about.private), files, _published(hub, target, about.sha, files))


def _published(hub: Hub, target: Target, head: str, files: Mapping[str, RemoteFile]) -> Mapping[str, Any]:
    path = text_of(hub, target, head, order_file.NAME, files)
    try:
        said = json_file.read(path).get(PUBLISHED) if path else None
    except (OSError, ValueError, AttributeError):
        return {}
    return said if isinstance(said, dict) else {}


def text_of(hub: Hub, target: Target, head: str, name: str, files: Mapping[str, RemoteFile]) -> Path | None:
    """A small file of the repo, in the cache; None where it has none of that name or of that size."""
    if name not in files or files[name].size > MAX_TEXT:
        return None
    doing = f"read {name} of {target.repo_id}"
    return Path(hub.ask(doing, "hf_hub_download", **target.spec, filename=name, revision=head))


def check_ours(remote: Remote, target: Target, recipe: str, overwrite: bool) -> None:
    """Refuse to publish over what we did not put there.

    Raises:
        HubError: the repo holds something else, or the sets of another recipe.
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
    """Files of the repo that must go: of an earlier publication, or ones that the patterns of our splits would take in.

    Nothing else that people put there is touched.
    """
    earlier = remote.published.get("files")
    ours = set(earlier) if isinstance(earlier, dict) else set()
    ours |= {name for name in remote.files if name.startswith("pictures/") and remote.published}
    if overwrite or remote.published:
        ours |= {name for name in remote.files for pattern in patterns.values() if fnmatch(name, pattern)}
    return sorted((ours & set(remote.files)) - set(local))
