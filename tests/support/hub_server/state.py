"""What the server holds: users, repos with their commits and refs, collections, and contents on disk."""

import hashlib
import json
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

#: Files that a new repo sends to large storage whatever their size.
LARGE = ("*.parquet", "*.arrow", "*.png", "*.jpg", "*.safetensors", "*.gz", "*.tar", "*.zip", "*.bin")
ATTRIBUTES = "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in LARGE).encode()
_ticks = count()


class Refused(Exception):
    """An error answer; `code` is the header by which the clients tell errors apart."""

    def __init__(self, status: int, message: str, code: str = "", body: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.body = body or {"error": message}


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def git_oid(data: bytes) -> str:
    """The id git gives a blob of these bytes."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@dataclass(frozen=True, slots=True)
class User:
    name: str
    role: str = "write"
    orgs: tuple[str, ...] = ()

    def owns(self, namespace: str) -> bool:
        return namespace in (self.name, *self.orgs)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a commit: `pointer` is the size of its LFS pointer, 0 for a plain file."""

    sha256: str
    oid: str
    size: int
    pointer: int = 0
    xet: str = ""


@dataclass(frozen=True, slots=True)
class Commit:
    oid: str
    parent: str
    tree: dict[str, Entry]
    title: str
    author: str
    date: str


@dataclass(slots=True)
class Pull:
    num: int
    title: str
    description: str
    author: str
    status: str = "draft"
    date: str = field(default_factory=now)


@dataclass(slots=True)
class Repo:
    kind: str
    id: str
    private: bool
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)
    pulls: list[Pull] = field(default_factory=list)

    def oid(self, revision: str) -> str:
        """The commit that a branch, a tag, a pull request's ref or a commit's own id names."""
        name = revision.removeprefix("refs/heads/")
        found = self.branches.get(name) or self.tags.get(name) or (name if name in self.commits else "")
        if not found:
            raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return found

    def tree(self, revision: str) -> dict[str, Entry]:
        return self.commits[self.oid(revision)].tree

    def commit(self, branch: str, tree: dict[str, Entry], title: str, author: str) -> str:
        parent = self.branches.get(branch, "")
        known = [parent, sorted((path, entry.sha256) for path, entry in tree.items()), title, next(_ticks)]
        oid = hashlib.sha1(json.dumps(known).encode()).hexdigest()
        self.commits[oid] = Commit(oid, parent, tree, title, author, now())
        self.branches[branch] = oid
        return oid


@dataclass(slots=True)
class Hub:
    """`part_bytes` above 0: larger uploads come in parts. `url` is where the server listens."""

    root: Path
    part_bytes: int = 0
    url: str = ""
    users: dict[str, User] = field(
        default_factory=lambda: {
            "hf_write": User("alice", orgs=("curric-org",)),
            "hf_read": User("alice", role="read", orgs=("curric-org",)),
            "hf_other": User("bob"),
        }
    )
    repos: dict[tuple[str, str], Repo] = field(default_factory=dict)
    collections: dict[str, dict[str, Any]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def blob(self, sha256: str) -> Path:
        folder = self.root / "blobs"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / sha256

    def plain(self, data: bytes) -> Entry:
        """Keep a small file's bytes."""
        sha256 = hashlib.sha256(data).hexdigest()
        self.blob(sha256).write_bytes(data)
        return Entry(sha256, git_oid(data), len(data))

    def large(self, sha256: str, xet: str = "") -> Entry:
        """The entry of an uploaded file."""
        size = self.blob(sha256).stat().st_size
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
        return Entry(sha256, git_oid(pointer), size, len(pointer), xet)

    def create(self, kind: str, name: str, private: bool, author: str) -> Repo:
        if (kind, name) in self.repos:
            message = f"You already created this {kind} repo"
            raise Refused(409, message, body={"error": message, "url": f"{self.url}/{kind}s/{name}"})
        repo = self.repos[kind, name] = Repo(kind, name, private)
        repo.commit("main", {".gitattributes": self.plain(ATTRIBUTES)}, "initial commit", author)
        return repo

    def files(self, name: str, revision: str = "main", kind: str = "dataset") -> dict[str, bytes]:
        """Path -> bytes of a repo, for tests to look at."""
        tree = self.repos[kind, name].tree(revision)
        return {path: self.blob(entry.sha256).read_bytes() for path, entry in tree.items()}

    def put(self, name: str, files: dict[str, bytes], branch: str = "main", kind: str = "dataset") -> str:
        """Change files behind the clients' backs: what somebody does on the web page."""
        repo = self.repos.get((kind, name)) or self.create(kind, name, False, name.split("/")[0])
        tree = repo.tree(branch) | {path: self.plain(data) for path, data in files.items()}
        return repo.commit(branch, tree, "by hand", name.split("/")[0])

    def commits(self, name: str, branch: str = "main", kind: str = "dataset") -> list[str]:
        """Titles of a branch's commits, newest first."""
        repo = self.repos[kind, name]
        titles, oid = [], repo.branches[branch]
        while oid:
            titles.append(repo.commits[oid].title)
            oid = repo.commits[oid].parent
        return titles
