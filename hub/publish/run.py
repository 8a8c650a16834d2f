"""`capcurriculum publish`: stage, check all repos, send one after the other, read each back, then tag and collect.

What can be refused is refused before anything is sent. Each repo changes in one commit, and a tag or a collection is
made only of repos that were read back, so whatever stops a publication, what is visible is whole.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from capcurriculum.errors import HubError
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.publish import usable
from capcurriculum.render.progress import Display
from capcurriculum.run import Run
from cards.dataset.card import render
from cards.staged import Staged
from curricula.make import outdated
from hub import client
from hub.client import Hub
from hub.patience import Patience
from hub.publish import names, publication, push, remote, verify
from hub.publish import publication as collection
from hub.publish.push import Pushed
from hub.publish.remote import Target
from hub.publish.stage import FOLDER, stage


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for; see `capcurriculum publish --help`."""

    namespace: str | None = None
    order: str = ""
    private: bool = False
    dry_run: bool = False
    one_repo: bool = False
    overwrite: bool = False
    tag: str = ""
    branch: str = ""
    pull: bool = False
    collection: bool = True

    def check(self) -> None:
        """Refuse options that contradict each other.

        Raises:
            HubError: with the sentence.
        """
        if self.pull and (self.branch or self.tag):
            raise HubError("--pr opens a pull request; leave out --branch and --tag, and tag what was merged.")
        for what, name in (("--tag", self.tag), ("--branch", self.branch)):
            if name and (not usable(name) or name.startswith("refs")):
                raise HubError(f"{what} {name!r} is no name of a tag or a branch; give one like v1.")


def publish(
    run: Run, wanted: Wanted, display: Display, patience: Patience | None = None, own: Recipe | None = None
) -> list[Staged]:
    """Publish a run's sets, or with `dry_run` stage them and ask nothing of the Hub.

    `own` is the run's recipe where a newer one than the run keeps says what its sets are called.

    Raises:
        CapCurriculumError: with one sentence; running it again goes on.
    """
    wanted.check()
    recipe = own or run.recipe()
    _refuse_outdated(run, recipe, wanted.order)
    if wanted.dry_run:
        namespace = wanted.namespace or recipe.publish.namespace or "you"
        staged = stage(run, wanted.order, namespace, wanted.one_repo, render, recipe)
        for one in staged:
            _tell(display, one, "would hold")
        display.note(f"Nothing was sent. The folders below {run.path / FOLDER} are what the repos would hold.")
        return staged
    hub = client.writer(patience or Patience(note=display.note))
    namespace = hub.namespace(wanted.namespace or recipe.publish.namespace)
    staged = stage(run, wanted.order, namespace, wanted.one_repo, render, recipe)
    jobs = [_job(one, recipe, wanted) for one in staged]
    jobs = [_prepared(hub, job, wanted) for job in jobs]
    done = []
    for one, job in zip(staged, jobs, strict=True):
        _tell(display, one, "gets")
        done.append(_publish(hub, one, job, display))
    publication.note(run, wanted.order, [(one.repo_id, pushed.oid) for one, pushed in zip(staged, done, strict=True)])
    _finish(hub, namespace, recipe, staged, done, wanted, display)
    shutil.rmtree(run.path / FOLDER)
    return staged


def _refuse_outdated(run: Run, recipe: Recipe, order: str) -> None:
    if order in outdated(run, recipe):
        again = f"capcurriculum curriculum {run.path} --order {order}" if order else "capcurriculum build RECIPE"
        raise HubError(
            f"The files of {order or 'the stages'} in {run.path} are not what the run and its recipe say by now, for "
            f"example since people reviewed its questions; run `{again}` to write them anew, then publish."
        )


def _job(one: Staged, recipe: Recipe, wanted: Wanted) -> push.Job:
    what = " and ".join(each.name for each in one.sets)
    patterns = {f"{each.config}/{split}": p for each in one.sets for split, p in each.data_files.items()}
    target = Target(one.repo_id, branch=wanted.branch or "main", pull=wanted.pull)
    return push.Job(
        target=target,
        folder=one.folder,
        message=f"capcurriculum: {what} of {recipe.name}",
        check=partial(remote.check_ours, target=target, recipe=recipe.name, overwrite=wanted.overwrite),
        patterns=patterns,
        configs=[each.config for each in one.sets],
        overwrite=wanted.overwrite,
    )


def _prepared(hub: Hub, job: push.Job, wanted: Wanted) -> push.Job:
    """Refuse a repo that is not ours, make one that is not there; the job, told of a tag that is there."""
    target = job.target
    found = remote.look(hub, target, "main")
    if found is None:
        if wanted.pull:
            raise HubError(f"{target.repo_id} is not on the Hub yet, so nothing can be asked of it; leave out --pr.")
        doing = f"make the repo {target.repo_id}"
        hub.ask(doing, "create_repo", **target.spec, private=wanted.private, exist_ok=True)
        return job
    job.check(found)
    publication.check_private(found, target, wanted.private)
    tagged = wanted.tag and publication.is_tagged(hub, target, wanted.tag, found.head)
    return replace(job, tagged=wanted.tag if tagged else "")


def _publish(hub: Hub, one: Staged, job: push.Job, display: Display) -> Pushed:
    """Send a repo and read it back."""
    done = push.push(hub, job)
    verify.files(hub, job.target, one.folder, done.oid)
    for each in one.sets:
        verify.rows(hub, job.target, each, done.oid)
    what = f"{done.sent} files sent, {done.removed} removed" if done.sent or done.removed else "nothing new"
    display.note(f"{one.repo_id}: {what}; read back at {done.oid[:12]} ({done.ref}).")
    if done.ref.startswith("refs/pr/"):
        number, doing = int(done.ref.rpartition("/")[2]), f"open the pull request on {one.repo_id}"
        details = hub.ask(doing, "get_discussion_details", **job.target.spec, discussion_num=number)
        if details.status == "draft":
            hub.ask(doing, "change_discussion_status", **job.target.spec, discussion_num=number, new_status="open")
        display.note(f"{one.repo_id}: pull request {number} is open.")
    return done


def _finish(
    hub: Hub,
    namespace: str,
    recipe: Recipe,
    staged: Sequence[Staged],
    done: Sequence[Pushed],
    wanted: Wanted,
    display: Display,
) -> None:
    """Tag and collect what was read back."""
    if wanted.tag:
        for one, pushed in zip(staged, done, strict=True):
            publication.tag(hub, Target(one.repo_id), wanted.tag, pushed.oid)
        display.note(f"Tagged {wanted.tag}.")
    if wanted.collection and not wanted.pull and not wanted.branch:
        title = recipe.publish.title or names.prefix(recipe)
        slug = collection.collect(hub, namespace, title, [one.repo_id for one in staged], wanted.private)
        display.note(f"Collection: {slug}.")


def _tell(display: Display, one: Staged, verb: str) -> None:
    sizes = [sum(path.stat().st_size for paths in each.files.values() for path in paths) for each in one.sets]
    shards = sum(len(paths) for each in one.sets for paths in each.files.values())
    splits = ", ".join(f"{each.name} {'/'.join(each.files)}" for each in one.sets)
    display.note(f"{one.repo_id} {verb} {splits}: {shards} shards, {sum(sizes) / 1e6:.1f} MB.")
