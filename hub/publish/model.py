"""`capcurriculum publish-model`: check a checkpoint, push it with its card, and verify it like a data set."""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from capcurriculum.errors import HubError, RunError
from capcurriculum.files.unfinished import removed_if_it_fails
from capcurriculum.recipe.publish import usable
from capcurriculum.render.progress import Display
from capcurriculum.run import Run, existing
from cards.model.card import render as render_model
from cards.staged import StagedModel
from hub import client
from hub.patience import Patience
from hub.publish import checkpoint, publication, push, redact, remote, verify
from hub.publish.remote import Remote, Target
from training.preflight.rows import cache

#: Suffixes of the keys in configurations that hold local paths.
_PATH_KEYS = ("name_or_path", "_file")
#: The file that marks a repo as published by capcurriculum.
MARK = "capcurriculum.json"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options of `capcurriculum publish-model`."""

    repo_id: str
    private: bool = False
    dry_run: bool = False
    overwrite: bool = False
    tag: str = ""


def publish(folder: Path, wanted: Wanted, display: Display, patience: Patience | None = None) -> StagedModel:
    """Publish a checkpoint, or with `dry_run` only stage it; a second call resumes.

    Raises:
        CapCurriculumError: the checkpoint is damaged or unsafe, or the Hub refuses or fails.
    """
    namespace, _, name = wanted.repo_id.partition("/")
    if not usable(namespace) or not usable(name):
        raise HubError(f"{wanted.repo_id!r} is no id of a repo; give --repo as namespace/name.")
    target = _staging_folder(folder.absolute(), wanted.repo_id)
    with removed_if_it_fails(target.parent):  # resuming needs nothing of it: the Hub has what was uploaded
        staged = _published(folder, target, wanted, display, patience)
        if not wanted.dry_run:
            shutil.rmtree(target.parent)
    return staged


def _published(folder: Path, place: Path, wanted: Wanted, display: Display, patience: Patience | None) -> StagedModel:
    files = checkpoint.check(folder)
    hub = None if wanted.dry_run else client.writer(patience or Patience(note=display.note))
    staged = stage(folder, files, wanted.repo_id, place)
    size = sum(path.stat().st_size for path in staged.folder.rglob("*") if path.is_file())
    display.note(
        f"{wanted.repo_id} {'would hold' if wanted.dry_run else 'gets'} {len(files)} files, {size / 1e6:.1f} MB."
    )
    if hub is None:
        display.note(f"Nothing was sent. The folder {staged.folder} is what the repo would hold.")
        return staged
    hub.namespace(wanted.repo_id.partition("/")[0])
    target = Target(wanted.repo_id, kind="model")
    check = partial(_check_ours, target=target, overwrite=wanted.overwrite)
    tagged = publication.prepare(hub, target, check, wanted.private, wanted.tag)
    done = push.push(hub, push.Job(target, staged.folder, "capcurriculum: checkpoint", check, tagged=tagged))
    verify.files(hub, target, staged.folder, done.oid)
    if wanted.tag:
        publication.tag(hub, target, wanted.tag, done.oid)
    display.note(f"{wanted.repo_id}: {done.sent} files sent; read back at {done.oid[:12]}.")
    return staged


def _staging_folder(folder: Path, repo_id: str) -> Path:
    """In the run of the checkpoint, which is on the same disk, else in the user's cache.

    It is the same for every attempt, so that the next one removes what a kill left.
    """
    run, _ = origin(folder)
    key = hashlib.sha256(f"{folder}:{repo_id}".encode(errors="surrogateescape")).hexdigest()[:12]
    above = run.path / "publish-model" if run else cache.root() / "publish-model" / key
    return above / repo_id.partition("/")[2]


def stage(folder: Path, files: list[Path], repo_id: str, target: Path) -> StagedModel:
    """Link the files into `target` and write the card, after removing the folder above `target`.

    Raises:
        HubError: the folder cannot be written.
    """
    try:
        shutil.rmtree(target.parent, ignore_errors=True)
        target.mkdir(parents=True)
        for path in files:
            _link_or_clean(path, target / path.name)
    except OSError as error:
        raise HubError(f"Cannot prepare {target} ({error.strerror}); check that its disk can be written to.") from error
    run, trained = origin(folder.absolute())
    datasets = tuple(publication.read(run).get("repos", ())) if run else ()
    recipe = redact.published(run.recipe()) if run else None
    staged = StagedModel(target, repo_id, run, trained, datasets, recipe)
    facts = {"recipe": recipe.name if recipe else "", "stage": trained, "files": sorted(path.name for path in files)}
    (target / MARK).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    render_model(staged)
    return staged


def _link_or_clean(source: Path, target: Path) -> None:
    """Link a file, or write a redacted copy of a configuration with local paths."""
    if source.suffix == ".json" and source.name not in ("tokenizer.json", "vocab.json", checkpoint.INDEX):
        before = checkpoint.read_json(source)
        after = redact.map_texts(before, lambda text, key: redact.clean(text) if key.endswith(_PATH_KEYS) else text)
        if after != before:
            target.write_text(json.dumps(after, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            return
    try:
        os.link(source, target)
    except OSError:  # another disk
        target.symlink_to(source.resolve())


def origin(checkpoint: Path) -> tuple[Run | None, str]:
    """The run and stage of `RUN/training/STAGE/checkpoint` or `RUN/trainings/NAME/STAGE/checkpoint`, else None."""
    stage = checkpoint.parent
    above = [stage.parent, *stage.parent.parents]
    folder = next((one.parent for one in above[:2] if one.name in ("training", "trainings")), None)
    try:
        return (existing(folder), stage.name) if folder else (None, "")
    except RunError:
        return None, ""


def _check_ours(found: Remote, target: Target, overwrite: bool) -> None:
    theirs = sorted(set(found.files) - remote.FRESH)
    if theirs and MARK not in theirs and not overwrite:
        raise HubError(
            f"{target.repo_id} exists and holds {', '.join(theirs[:3])}, which this program did not put there; "
            "give another --repo, or --overwrite to put the checkpoint in their place."
        )
