"""Make a repo equal to a staged folder, in one commit.

Contents are uploaded first, outside of any commit, so a push that dies is resumed by running it again: the Hub skips
content that it has. One commit with `parent_commit` then adds, replaces and deletes files, card included, so a set is
never visible in part; on a conflict the repo is listed again.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete

from capcurriculum.errors import HubError
from hub.client import Hub
from hub.patience import Changed
from hub.publish import card_merge, remote
from hub.publish.remote import LocalFile, Remote, Target
from hub.publish.stage import README

#: Files are uploaded in groups of at most so many bytes, since each upload costs a few requests.
TOGETHER_BYTES = 20_000_000
#: Tries to commit, after concurrent changes or lost responses.
_COMMITS = 5
#: Tries to upload a group; huggingface_hub itself retries for about a minute in each.
_UPLOADS = 2


@dataclass(frozen=True, slots=True)
class Job:
    """A folder to push: `message` is the commit's title, `check` refuses a repo that must not be changed.

    `patterns` are those of the splits (see `remote.stale`), `configs` the names of the configurations. `tagged` is the
    requested tag if the repo's head has it already; the content may then not change.
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
    """The commit that holds the folder, its branch, and the number of files uploaded and deleted."""

    oid: str
    ref: str
    sent: int = 0
    removed: int = 0


def push(hub: Hub, job: Job) -> Pushed:
    """Upload what is missing and commit it; does nothing if the repo holds the folder already.

    Raises:
        HubError: the push failed; the repo is unchanged or holds the whole folder.
    """
    ref = ref_of(hub, job)
    prepared: dict[str, CommitOperationAdd] = {}
    sent = removed = 0
    for number in range(1, _COMMITS + 1):
        found = remote.look(hub, job.target, ref)
        if found is None:
            raise HubError(f"{job.target.repo_id} has just been removed from the Hub; run the same command again.")
        missing, stale = _difference(hub, job, found)
        if not missing and not stale:
            return Pushed(found.head, ref, sent, removed)
        if job.tagged:
            raise HubError(
                f"{job.target.repo_id} holds something else under the tag {job.tagged} ({len(missing)} files differ); "
                "give another --tag."
            )
        _upload(hub, job, ref, missing, prepared)
        sent, removed = len(missing), len(stale)
        deletions = [CommitOperationDelete(name, is_folder=False) for name in stale]
        operations = [*(prepared[name] for name in sorted(missing)), *deletions]
        options = {"commit_message": job.message, "revision": ref, "parent_commit": found.head}
        doing = f"commit to {job.target.repo_id}"
        try:
            hub.ask(doing, "create_commit", **job.target.spec, operations=operations, **options)
        except Changed:  # by another commit, or by this one if its response was lost
            if number == _COMMITS:
                raise
            hub.patience.sleep(hub.patience.first)
            prepared.pop(README, None)  # it is merged again, with the new card
    raise HubError(f"{job.target.repo_id} does not show what was committed to it; run the same command again later.")


def _difference(hub: Hub, job: Job, found: Remote) -> tuple[dict[str, LocalFile], list[str]]:
    """The files to upload and the names to delete, after a check of the repo and the merge of its card."""
    job.check(found)
    _merge_card(hub, job, found)
    local = remote.local_files(job.folder)
    missing = {name: file for name, file in local.items() if not file.is_in(found.files.get(name))}
    return missing, remote.stale(found, local, job.patterns, job.overwrite)


def ref_of(hub: Hub, job: Job) -> str:
    """The branch or the pull request's ref to commit to, created if needed."""
    target = job.target
    if target.pull:
        return _pull_ref(hub, job)
    if target.branch != "main":
        doing = f"make the branch {target.branch} of {target.repo_id}"
        hub.ask(doing, "create_branch", **target.spec, branch=target.branch, exist_ok=True)
    return target.branch


def _pull_ref(hub: Hub, job: Job) -> str:
    """The user's open pull request of this title, else a new one; `main` if nothing would change."""
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
    if found is not None and not _difference(hub, job, found)[0]:
        return "main"  # it has been merged
    made = hub.ask(doing, "create_pull_request", **target.spec, title=job.message)
    return str(made.git_reference)


def _merge_card(hub: Hub, job: Job, found: Remote) -> None:
    """Merge the staged card with the repo's."""
    card = job.folder / README
    if not card.is_file():
        return
    fresh = job.folder.parent / f".{job.folder.name}-{README}"
    if not fresh.is_file():  # keep the rendered card: the next merge starts from it
        fresh.write_bytes(card.read_bytes())
    card.write_bytes(fresh.read_bytes())
    before = remote.text_of(hub, job.target, found.head, README, found.files)
    earlier = found.published.get("sets")
    named = {str(one.get("config")) for one in earlier if isinstance(one, dict)} if isinstance(earlier, list) else set()
    card_merge.settle(card, before, named - set(job.configs), model=job.target.kind == "model")


def _upload(
    hub: Hub, job: Job, ref: str, missing: Mapping[str, LocalFile], prepared: dict[str, CommitOperationAdd]
) -> None:
    """Upload contents, large files one by one and small ones together; adds their operations to `prepared`."""
    hub = dataclasses.replace(hub, patience=dataclasses.replace(hub.patience, tries=min(_UPLOADS, hub.patience.tries)))
    for group in _groups({name: file for name, file in missing.items() if name not in prepared}):
        adds = [CommitOperationAdd(name, str(missing[name].path)) for name in group]
        what = group[0] if len(group) == 1 else f"{len(group)} files"
        options = {"additions": adds, "revision": ref, "free_memory": False}
        hub.ask(f"send {what} to {job.target.repo_id}", "preupload_lfs_files", **job.target.spec, **options)
        prepared.update(zip(group, adds, strict=True))


def _groups(files: Mapping[str, LocalFile]) -> Iterator[list[str]]:
    """Names of files in groups of at most `TOGETHER_BYTES`, larger files alone, the card last."""
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
