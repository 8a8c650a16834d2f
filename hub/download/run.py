"""`capcurriculum download`: resolve the repos, download and check them, and lay them out as a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from capcurriculum.errors import HubError
from capcurriculum.render.progress import Display
from capcurriculum.rows import Stage
from curricula import order_file
from hub import client
from hub.client import Hub
from hub.download import convert, fetch, layout, release, sets
from hub.download.fetch import Snapshot
from hub.download.find import find
from hub.patience import Patience
from hub.publish.names import SUFFIX
from hub.publish.remote import RemoteFile
from hub.publish.stage import RECIPE

#: The small files that describe a published repo.
_TEXTS = (order_file.NAME, RECIPE)

Listed = tuple[str, Mapping[str, RemoteFile]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options of `capcurriculum download`."""

    name: str
    revision: str = ""
    stages: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    to: Path | None = None
    val: float = 0.01


@dataclass(frozen=True, slots=True)
class _Repo:
    """A repo with its small files downloaded; `listed` is None for one of the cache."""

    listed: Listed | None
    snapshot: Snapshot

    @property
    def names(self) -> Sequence[str]:
        return list(self.listed[1]) if self.listed else self.snapshot.names()


def download(wanted: Wanted, display: Display, patience: Patience | None = None) -> Path:
    """Download published sets into a run folder and return it; a second call resumes.

    Raises:
        CapCurriculumError: the repos do not exist or are damaged, the folder is taken, or the Hub fails.
    """
    target = wanted.to or Path("runs") / wanted.name.strip("/").rpartition("/")[2].removesuffix(SUFFIX)
    layout.name_of(target)
    layout.replaceable(target)
    hub = client.reader(patience or Patience(note=display.note))
    found = find(hub, wanted.name)
    repos = []
    for repo_id in found.repos:
        listed = fetch.listing(hub, repo_id, wanted.revision) if found.online else None
        repos.append(_Repo(listed, fetch.fetch(hub, repo_id, wanted.revision, _TEXTS, listed)))
    published = [one for one in repos if order_file.NAME in one.names]
    released = [(one, rows) for one in repos if one not in published and (rows := release.rows_file(one.names))]
    if published:
        _download_published(hub, published, wanted, target, display)
    elif released:
        _download_released(hub, released, wanted, target, display)
    else:
        raise HubError(
            f"{', '.join(found.repos[:3])} holds neither sets of this program nor the released data; check the name."
        )
    return target


def _download_published(hub: Hub, repos: Sequence[_Repo], wanted: Wanted, target: Path, display: Display) -> None:
    """Download sets that `capcurriculum publish` wrote."""
    found, files = [], []
    for one in repos:
        chosen = sets.chosen(sets.read(one.snapshot).published.sets, wanted.stages, wanted.splits)
        if not chosen:
            continue
        patterns = [pattern for each in chosen for pattern in each.data_files.values()]
        snapshot = fetch.fetch(hub, one.snapshot.repo_id, wanted.revision, [*_TEXTS, *patterns], one.listed)
        repo = sets.narrowed(sets.read(snapshot), chosen)
        sets.check(repo)
        found.append(repo)
        files.append(layout.origin_of(snapshot, [*_TEXTS, *repo.published.files]))
        display.note(f"{snapshot.repo_id} at {snapshot.oid[:12]}: {len(repo.published.files)} shards checked.")
    if not found:
        ids = ", ".join(one.snapshot.repo_id for one in repos)
        asked = {name: values for name, values in (("stage", wanted.stages), ("split", wanted.splits)) if values}
        named = " with a ".join(f"{name} {', '.join(values)}" for name, values in asked.items())
        raise HubError(f"There is no {named} in {ids}; check {' and '.join(f'--{name}' for name in asked)}.")

    def fill(folder: Path) -> None:
        names, order = layout.put(folder, found, wanted.stages), found[0].published.order
        layout.describe(folder, layout.recipe_of(found[0].snapshot, target, names, order), files)

    layout.assemble(target, fill)


def _download_released(
    hub: Hub, found: Sequence[tuple[_Repo, tuple[str, Stage]]], wanted: Wanted, target: Path, display: Display
) -> None:
    """Download data as the paper's authors released it, and convert it."""
    if wanted.splits:
        raise HubError("The released data has no splits: it is split on the way (--val); leave --split out.")
    repos = {
        stage: (fetch.fetch(hub, one.snapshot.repo_id, wanted.revision, release.patterns(rows), one.listed), rows)
        for one, (rows, stage) in sorted(found, key=lambda one: list(Stage).index(one[1][1]))
        if not wanted.stages or stage in wanted.stages
    }
    if not repos:
        there = ", ".join(stage for _, (_, stage) in found)
        raise HubError(f"There is no stage {', '.join(wanted.stages)}; there are {there}.")
    files = [layout.origin_of(snapshot, snapshot.names()) for snapshot, _ in repos.values()]

    def fill(folder: Path) -> None:
        recipe = convert.recipe_of({stage: snapshot for stage, (snapshot, _) in repos.items()}, folder, wanted.val)
        convert.fill(recipe, repos, display)
        layout.describe(folder, layout.for_run(recipe, target, [str(stage) for stage in repos]), files)

    layout.assemble(target, fill)
