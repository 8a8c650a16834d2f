"""Download a repo's files into the cache of huggingface_hub, after checks of their listing.

Names outside of the repo's folder, oversized files and more bytes than the disk has are refused before the download.
A broken download resumes; cached files are not downloaded again.
"""

import glob
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from huggingface_hub import constants

from capcurriculum.errors import HubError
from hub.client import Hub
from hub.publish.remote import MAX_TEXT, RemoteFile, Target, look
from hub.publish.stage import sha256

#: Bytes; published shards have half a gigabyte, the released image archives five.
MAX_FILE, MAX_ROWS_FILE = 50_000_000_000, 2_000_000_000
MAX_FILES = 100_000
_LIMITS = {".json": MAX_TEXT, ".yaml": 2_000_000, ".md": 2_000_000, ".jsonl": MAX_ROWS_FILE}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A repo's files at one commit, in the cache."""

    repo_id: str
    oid: str
    folder: Path

    def names(self) -> list[str]:
        """Names in the repo of the files that are present."""
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return sorted(path.relative_to(self.folder).as_posix() for path in found)

    def file(self, name: str) -> Path | None:
        """The file of this name, None if it is missing or its name is unsafe."""
        path = self.folder / name
        return path if safe(name) and path.is_file() else None


def safe(name: str) -> bool:
    """Whether a name in a repo is a relative path below the repo's folder."""
    parts = PurePosixPath(name).parts
    odd = any(ord(letter) < 32 for letter in name) or "\\" in name or ":" in name
    return bool(parts) and not name.startswith("/") and ".." not in parts and not odd


def listing(hub: Hub, repo_id: str, revision: str) -> tuple[str, Mapping[str, RemoteFile]]:
    """The commit of a revision and its files.

    Raises:
        HubError: the repo or the revision does not exist, or a file has an unsafe name or is too large.
    """
    found = look(hub, Target(repo_id), revision or "main")
    if found is None:
        raise HubError(f"The Hub has no data set {repo_id}, or hides it from this token.")
    if len(found.files) > MAX_FILES:
        raise HubError(f"{repo_id} holds {len(found.files)} files, more than {MAX_FILES}; not downloaded.")
    for name, file in found.files.items():
        if not safe(name):
            raise HubError(f"{repo_id} holds a file {name[:80]!r}, whose name leads out of its folder; not downloaded.")
        if file.size > limit(name):
            raise HubError(f"{repo_id} holds {name} of {file.size} bytes, more than {limit(name)}; not downloaded.")
    return found.head, found.files


def limit(name: str) -> int:
    """Maximum size in bytes of a file of this name."""
    return _LIMITS.get(PurePosixPath(name).suffix, MAX_FILE)


def fetch(
    hub: Hub, repo_id: str, revision: str, patterns: Iterable[str], listed: tuple[str, Mapping[str, RemoteFile]] | None
) -> Snapshot:
    """The files that match any of the patterns, from the Hub, or without `listed` from the cache alone.

    Raises:
        HubError: the download fails, does not fit on the disk, or differs from the listing.
    """
    head, files = listed or ("", {})
    kept = list(patterns)
    wanted = [name for name in files if any(fnmatch(name, pattern) for pattern in kept)]
    _check_room(repo_id, sum(files[name].size for name in wanted))
    allowed = [glob.escape(name) for name in wanted] if listed else kept
    options = {"allow_patterns": allowed, "local_files_only": listed is None}
    spec = {**Target(repo_id).spec, "revision": revision or "main"}
    folder = Path(hub.ask(f"download {repo_id}", "snapshot_download", **spec, **options))
    if head and folder.name != head:
        raise HubError(f"{repo_id} was changed while it was being downloaded; run the same command again.")
    snapshot = Snapshot(repo_id, folder.name, folder)
    for name in wanted:
        file = files[name]
        path = snapshot.file(name)
        if path is None or path.stat().st_size != file.size or (file.sha256 and sha256(path) != file.sha256):
            raise HubError(
                f"{name} of {repo_id} is not the file that the Hub lists; remove {path or folder} and download again."
            )
    return snapshot


def _check_room(repo_id: str, size: int) -> None:
    cache = Path(constants.HF_HUB_CACHE)
    there = next(path for path in (cache, *cache.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if size > free:
        raise HubError(
            f"{repo_id} takes up to {size / 1e9:.1f} GB and {there} has {free / 1e9:.1f} GB free; make room, or set "
            "HF_HUB_CACHE to another disk."
        )
