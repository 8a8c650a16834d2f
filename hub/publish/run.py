"""`capcurriculum publish`: stage, check all repos, push and verify one after the other, then tag and collect.

All checks come before the first upload. Each repo changes in one commit, and only verified repos are tagged and
collected, so an interrupted publication never leaves a partial set visible.
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
from cards.environment import write
from cards.staged import Staged
from curricula.make import outdated
from hub import client
from hub.client import Hub
from hub.environment import called
from hub.patience import Patience
from hub.publish import environment, names, publication, push, remote, verify
from hub.publish.push import Pushed
from hub.publish.remote import Target
from hub.publish.stage import FOLDER, stage


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options of `capcurriculum publish`."""

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
    environment: bool = False

    def check(self) -> None:
        """Check the options.

        Raises:
            HubError: two contradict each other, or a name is invalid.
        """
        if self.pull and (self.branch or self.tag):
            raise HubError("--pr opens a pull request; leave out --branch and --tag, and tag what was merged.")
        for what, name in (("--tag", self.tag), ("--branch", self.branch)):
            if name and (not usable(name) or name.startswith("refs")):
                raise HubError(f"{what} {name!r} is no name of a tag or a branch; give one like v1.")


def publish(
    run: Run, wanted: Wanted, display: Display, patience: Patience | None = None, own: Recipe | None = None
) -> list[Staged]:
    """Publish a run's sets, or with `dry_run` only stage them; a second call resumes.

    `own` replaces the run's recipe, for newer names of the sets.

    Raises:
        CapCurriculumError: the sets are outdated, or the Hub refuses or fails.
    """
    wanted.check()
    recipe = own or run.recipe()
    _refuse_outdated(run, recipe, wanted.order)
    package = write.names(called(recipe, wanted.order)).package if wanted.environment else ""
    if wanted.dry_run:
        namespace = wanted.namespace or recipe.publish.namespace or "you"
        staged = stage(run, recipe, wanted.order, namespace, wanted.one_repo, render, package)
        if package:
            environment.check(staged)
            environment.put(staged, dict.fromkeys((one.repo_id for one in staged), wanted.branch or "main"))
            display.note(
                f"Each repo would hold {package}, whose data.json names the commit of the data, here its branch."
            )
        for one in staged:
            _note(display, one, "would hold")
        display.note(f"Nothing was sent. The folders below {run.path / FOLDER} are what the repos would hold.")
        return staged
    hub = client.writer(patience or Patience(note=display.note))
    namespace = hub.namespace(wanted.namespace or recipe.publish.namespace)
    staged = stage(run, recipe, wanted.order, namespace, wanted.one_repo, render, package)
    if package:
        environment.check(staged)
    jobs = []
    for job in [_job(one, recipe, wanted) for one in staged]:
        tagged = publication.prepare(hub, job.target, job.check, wanted.private, wanted.tag)
        jobs.append(replace(job, tagged=tagged))
    there = environment.known(hub, staged, jobs) if package else {}
    if there:
        environment.put(staged, there)
    commits = []
    for one, job in zip(staged, jobs, strict=True):
        _note(display, one, "gets")
        commits.append((one.repo_id, _publish(hub, one, job, display).oid))
    if package and not there:
        environment.put(staged, dict(commits))
        commits = [(one.repo_id, _again(hub, one, job)) for one, job in zip(staged, jobs, strict=True)]
    if package:
        display.note(f"Each repo holds the environment {package}.")
    publication.note(run, wanted.order, commits)
    _finish(hub, namespace, recipe, commits, wanted, display)
    shutil.rmtree(run.path / FOLDER)
    return staged


def _refuse_outdated(run: Run, recipe: Recipe, order: str) -> None:
    if order in outdated(run, recipe):
        again = f"capcurriculum curriculum {run.path} --order {order}" if order else "capcurriculum build RECIPE"
        raise HubError(
            f"The files of {order or 'the stages'} in {run.path} are older than its tables or recipe, for example "
            f"because its questions were reviewed; run `{again}` to write them again, then publish."
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


def _publish(hub: Hub, one: Staged, job: push.Job, display: Display) -> Pushed:
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


def _again(hub: Hub, one: Staged, job: push.Job) -> str:
    """Push what was added to a staged folder since; returns the commit that holds it."""
    done = push.push(hub, job)
    verify.files(hub, job.target, one.folder, done.oid)
    return done.oid


def _finish(
    hub: Hub, namespace: str, recipe: Recipe, commits: Sequence[tuple[str, str]], wanted: Wanted, display: Display
) -> None:
    """Tag and collect the verified (repo, commit) pairs."""
    if wanted.tag:
        for repo_id, oid in commits:
            publication.tag(hub, Target(repo_id), wanted.tag, oid)
        display.note(f"Tagged {wanted.tag}.")
    if wanted.collection and not wanted.pull and not wanted.branch:
        title = recipe.publish.title or names.prefix(recipe)
        slug = publication.collect(hub, namespace, title, [repo_id for repo_id, _ in commits], wanted.private)
        display.note(f"Collection: {slug}.")


def _note(display: Display, one: Staged, verb: str) -> None:
    sizes = [sum(path.stat().st_size for paths in each.files.values() for path in paths) for each in one.sets]
    shards = sum(len(paths) for each in one.sets for paths in each.files.values())
    splits = ", ".join(f"{each.name} {'/'.join(each.files)}" for each in one.sets)
    display.note(f"{one.repo_id} {verb} {splits}: {shards} shards, {sum(sizes) / 1e6:.1f} MB.")
