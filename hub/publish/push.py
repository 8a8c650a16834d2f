"""Make a repo hold a staged folder, in one commit.

Contents go first, a file at a time, and are then on the Hub though in no commit, so a push that dies is continued by
running it again: the Hub takes no content twice. One commit then adds, replaces and removes files, card included, so
nobody ever sees half of a set. It names the commit it is made for; if another came between, the repo is looked at anew.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, CommitOperationDelete

from capcurriculum.errors import HubError
from hub.client import Hub
from hub.patience import Changed
from hub.publish import card_merge, remote
from hub.publish.remote import LocalFile, Remote, Target
from hub.publish.stage import README

#: Files smaller than this in all are sent together: each sending costs a few requests.
TOGETHER_BYTES = 20_000_000
#: How often a repo is looked at anew because somebody else changed it, or an answer got lost.
_LOOKS = 5
#: How often a file is sent where the clients gave up.
_SENDINGS = 2


@dataclass(frozen=True, slots=True)
class Job:
    """A folder to be sent: `message` is the commit's title, `check` refuses a repo that is not ours to change.

    `patterns` are those of the splits (see `remote.stale`), `configs` the names of the configurations. `tagged` is the
    tag that what the repo holds has already, so that nothing may change there.
    """

    target: Target
    folder: Path
    message: str
    check: Callable[[Remote], None]
    patterns: Mapping[str, str] = field(default_factory=dict)
    configs: Sequence[str] = ()
    overwrite: bool = False
    tagged: str = ""


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of a job: the commit that holds the folder now, on which branch, and what was done for it."""

    oid: str
    ref: str
    sent: int = 0
    removed: int = 0
    bytes: int = 0


def push(hub: Hub, job: Job) -> Pushed:
    """Send what is missing and commit it; does nothing where the repo holds the folder already.

    Raises:
        HubError: it could not be done; the repo is then as it was, or holds all of it.
    """
    ref = _ref(hub, job)
    prepared: dict[str, CommitOperationAdd] = {}
    done = Pushed("", ref)
    for number in range(1, _LOOKS + 1):
        found = remote.look(hub, job.target, ref)
        if found is None:
            raise HubError(f"{job.target.repo_id} has just been removed from the Hub; run the same command again.")
        job.check(found)
        _settle_card(hub, job, found)
        local = remote.local_files(job.folder)
        missing = {name: file for name, file in local.items() if not file.is_in(found.files.get(name))}
        stale = remote.stale(found, local, job.patterns, job.overwrite)
        if not missing and not stale:
            return Pushed(found.head, ref, done.sent, done.removed, done.bytes)
        if job.tagged:
            raise HubError(
                f"{job.target.repo_id} holds something else under the tag {job.tagged} ({len(missing)} files differ); "
                "give another --tag."
            )
        _send(hub, job, ref, missing, prepared)
        done = Pushed("", ref, len(missing), len(stale), sum(file.size for file in missing.values()))
        try:
            _commit(hub, job, ref, found.head, [prepared[name] for name in sorted(missing)], stale)
        except Changed:
            if number == _LOOKS:
                raise
            hub.patience.sleep(hub.patience.first)
            prepared.pop(README, None)  # it is merged with the other's card
    raise HubError(f"{job.target.repo_id} does not show what was committed to it; run the same command again later.")


def _ref(hub: Hub, job: Job) -> str:
    """The branch or the pull request's ref to commit to, made if need be."""
    target = job.target
    if target.pull:
        return _pull(hub, job)
    if target.branch != "main":
        doing = f"make the branch {target.branch} of {target.repo_id}"
        hub.ask(doing, "create_branch", **target.spec, branch=target.branch, exist_ok=True)
    return target.branch


def _pull(hub: Hub, job: Job) -> str:
    """An open pull request of ours with this title is gone on with; else one is opened if anything would change."""
    target, doing = job.target, f"open a pull request on {job.target.repo_id}"
    mine = hub.patience.persist(
        doing,
        lambda: [
            one
            for one in hub.api.get_repo_discussions(
                **target.spec, author=hub.user, discussion_type="pull_request", discussion_status="open"
            )
            if one.title == job.message and one.is_pull_request and one.status in ("open", "draft")
        ],
    )
    if mine:
        return f"refs/pr/{mine[0].num}"
    found = remote.look(hub, target, "main")
    if found is not None:
        job.check(found)
        _settle_card(hub, job, found)
        local = remote.local_files(job.folder)
        if all(file.is_in(found.files.get(name)) for name, file in local.items()):
            return "main"  # it has been merged, so there is nothing to ask for
    made = hub.ask(doing, "create_pull_request", **target.spec, title=job.message)
    return str(made.git_reference)


def _settle_card(hub: Hub, job: Job, found: Remote) -> None:
    """Merge the card as it was staged with the one that the repo has."""
    card = job.folder / README
    if not card.is_file():
        return
    fresh = job.folder.parent / f".{job.folder.name}-{README}"
    if not fresh.is_file():  # keep what was rendered: a second look merges it anew
        fresh.write_bytes(card.read_bytes())
    card.write_bytes(fresh.read_bytes())
    before = remote.text_of(hub, job.target, found.head, README, found.files)
    earlier = found.published.get("sets")
    named = {str(one.get("config")) for one in earlier if isinstance(one, dict)} if isinstance(earlier, list) else set()
    card_merge.settle(card, before, named - set(job.configs), model=job.target.kind == "model")


def _send(
    hub: Hub, job: Job, ref: str, missing: Mapping[str, LocalFile], prepared: dict[str, CommitOperationAdd]
) -> None:
    """Put contents on the Hub, a large file at a time, small ones together."""
    for group in _groups({name: file for name, file in missing.items() if name not in prepared}):
        adds = [CommitOperationAdd(name, str(missing[name].path)) for name in group]
        what = group[0] if len(group) == 1 else f"{len(group)} files"

        def send(adds: list[CommitOperationAdd] = adds) -> None:
            hub.api.preupload_lfs_files(
                **job.target.spec,
                additions=adds,
                revision=ref,
                free_memory=False,
            )

        # The clients themselves try several times to send contents, which takes a minute where nothing helps.
        patience = dataclasses.replace(hub.patience, tries=min(_SENDINGS, hub.patience.tries))
        patience.persist(f"send {what} to {job.target.repo_id}", send)
        prepared.update(zip(group, adds, strict=True))


def _groups(files: Mapping[str, LocalFile]) -> Iterator[list[str]]:
    """Names, each large file alone; the card comes last, since it is what an onlooker would believe."""
    group: list[str] = []
    size = 0
    for name in sorted(files, key=lambda name: (name == README, name)):
        if group and size + files[name].size > TOGETHER_BYTES:
            yield group
            group, size = [], 0
        group.append(name)
        size += files[name].size
    if group:
        yield group


def _commit(hub: Hub, job: Job, ref: str, head: str, adds: Sequence[Any], stale: Sequence[str]) -> None:
    """One commit on top of `head`.

    Raises:
        Changed: another one came between, or the answer got lost and this one may have come through.
        HubError: the Hub refuses it.
    """
    operations = [*adds, *(CommitOperationDelete(name, is_folder=False) for name in stale)]
    doing = f"commit to {job.target.repo_id}"

    def commit() -> None:
        hub.api.create_commit(
            **job.target.spec, operations=operations, commit_message=job.message, revision=ref, parent_commit=head
        )

    hub.patience.persist(doing, commit)
