"""`capcurriculum publish-model`: a checked checkpoint with its card, sent and read back like a data set."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from capcurriculum.errors import HubError, RunError
from capcurriculum.files.unfinished import removed_if_it_fails
from capcurriculum.recipe.publish import usable
from capcurriculum.render.progress import Display
from capcurriculum.run import Run, existing
from cards.model.card import render as render_model
from cards.staged import StagedModel
from hub import client
from hub.client import Hub
from hub.patience import Patience
from hub.publish import checkpoint, publication, push, redact, remote, verify
from hub.publish.remote import Remote, Target
from training.preflight.rows import cache

#: In configurations, texts under such keys are names of files and folders where the model was made.
_WHERE = ("name_or_path", "_file")
#: What says that a repo was filled by us: no other file of a model repo would.
MARK = "capcurriculum.json"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for; see `capcurriculum publish-model --help`."""

    repo_id: str
    private: bool = False
    dry_run: bool = False
    overwrite: bool = False
    tag: str = ""


def publish(folder: Path, wanted: Wanted, display: Display, patience: Patience | None = None) -> StagedModel:
    """Publish a checkpoint, or with `dry_run` stage it and ask nothing of the Hub.

    Raises:
        CapCurriculumError: with one sentence; running it again goes on.
    """
    namespace, _, name = wanted.repo_id.partition("/")
    if not usable(namespace) or not usable(name):
        raise HubError(f"{wanted.repo_id!r} is no id of a repo; give --repo as namespace/name.")
    place = _place(folder.absolute(), wanted.repo_id)
    with removed_if_it_fails(place.parent):  # to go on nothing of it is needed: the Hub knows what it was sent
        staged = _published(folder, place, wanted, display, patience)
        if not wanted.dry_run:
            shutil.rmtree(place.parent)
    return staged


def _published(folder: Path, place: Path, wanted: Wanted, display: Display, patience: Patience | None) -> StagedModel:
    """Stage in `place`, and send that unless it is a dry run."""
    files = checkpoint.check(folder)
    staged = stage(folder, files, wanted.repo_id, place)
    size = sum(path.stat().st_size for path in staged.folder.rglob("*") if path.is_file())
    display.note(
        f"{wanted.repo_id} {'would hold' if wanted.dry_run else 'gets'} {len(files)} files, {size / 1e6:.1f} MB."
    )
    if wanted.dry_run:
        display.note(f"Nothing was sent. The folder {staged.folder} is what the repo would hold.")
        return staged
    hub = client.writer(patience or Patience(note=display.note))
    hub.namespace(wanted.repo_id.partition("/")[0])
    target = Target(wanted.repo_id, kind="model")
    check = partial(_check_ours, target=target, overwrite=wanted.overwrite)
    tagged = _prepared(hub, target, check, wanted)
    done = push.push(hub, push.Job(target, staged.folder, "capcurriculum: checkpoint", check, tagged=tagged))
    verify.files(hub, target, staged.folder, done.oid)
    if wanted.tag:
        publication.tag(hub, target, wanted.tag, done.oid)
    display.note(f"{wanted.repo_id}: {done.sent} files sent; read back at {done.oid[:12]}.")
    return staged


def _place(folder: Path, repo_id: str) -> Path:
    """Where a checkpoint is staged, always the same, so that the next attempt removes what a kill left.

    In its run, which is on the same disk; else in the user's cache: its own folder may be this package's.
    """
    run, _ = _origin(folder)
    told = hashlib.sha256(f"{folder}:{repo_id}".encode(errors="surrogateescape")).hexdigest()[:12]
    above = run.path / "publish-model" if run else cache.root() / "publish-model" / told
    return above / repo_id.partition("/")[2]


def stage(folder: Path, files: list[Path], repo_id: str, target: Path) -> StagedModel:
    """Put the files and a card into `target`, by links, after removing the folder above it; returns what it is of.

    Raises:
        HubError: there is no room for it.
    """
    try:
        shutil.rmtree(target.parent, ignore_errors=True)
        target.mkdir(parents=True)
        for path in files:
            _put(path, target / path.name)
    except OSError as error:
        raise HubError(f"Cannot prepare {target} ({error.strerror}); check that its disk can be written to.") from error
    run, trained = _origin(folder.absolute())
    found = publication.read(run) if run else {}
    shown = redact.published(run.recipe()) if run else None
    staged = StagedModel(target, repo_id, run, trained, tuple(found.get("repos", ())), shown)
    said = {"recipe": shown.name if shown else "", "stage": trained, "files": sorted(path.name for path in files)}
    (target / MARK).write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    render_model(staged)
    return staged


def _put(source: Path, target: Path) -> None:
    """A file, or where it tells of this machine a copy that does not."""
    if source.suffix == ".json" and source.name not in ("tokenizer.json", "vocab.json", checkpoint.INDEX):
        before = checkpoint.read_json(source)
        after = _cleaned(before, "")
        if after != before:
            target.write_text(json.dumps(after, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            return
    try:
        os.link(source, target)
    except OSError:  # another disk
        target.symlink_to(source.resolve())


def _cleaned(value: Any, key: str) -> Any:
    match value:
        case dict():
            return {name: _cleaned(inner, name) for name, inner in value.items()}
        case list():
            return [_cleaned(inner, key) for inner in value]
        case str() if key.endswith(_WHERE):
            return redact.clean(value)
    return value


def _origin(folder: Path) -> tuple[Run | None, str]:
    """The run whose training made the checkpoint, and the stage, from where it lies."""
    stage = folder.parent
    # RUN/training/STAGE/checkpoint, or RUN/trainings/NAME/STAGE/checkpoint
    above = [stage.parent, *stage.parent.parents]
    place = next((one.parent for one in above[:2] if one.name in ("training", "trainings")), None)
    try:
        return (existing(place), stage.name) if place else (None, "")
    except RunError:
        return None, ""


def _prepared(hub: Hub, target: Target, check: Any, wanted: Wanted) -> str:
    """Refuse a repo that is not ours, make one that is not there; the tag, if what is there has it already."""
    found = remote.look(hub, target, "main")
    if found is None:
        doing = f"make the repo {target.repo_id}"
        hub.ask(doing, "create_repo", **target.spec, private=wanted.private, exist_ok=True)
        return ""
    check(found)
    publication.check_private(found, target, wanted.private)
    return wanted.tag if wanted.tag and publication.is_tagged(hub, target, wanted.tag, found.head) else ""


def _check_ours(found: Remote, target: Target, overwrite: bool) -> None:
    """Refuse a repo that holds another's model.

    Raises:
        HubError: it does.
    """
    theirs: Mapping[str, Any] = {name: 1 for name in found.files if name not in remote.FRESH}
    if theirs and MARK not in theirs and not overwrite:
        raise HubError(
            f"{target.repo_id} exists and holds {', '.join(sorted(theirs)[:3])}, which this program did not put there; "
            "give another --repo, or --overwrite to put the checkpoint in their place."
        )
