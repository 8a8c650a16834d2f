"""`capcurriculum download`: find the repos, look at them, bring them, check them, lay them out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from capcurriculum.errors import HubError
from capcurriculum.recipe import Recipe
from capcurriculum.render.progress import Display
from capcurriculum.rows import Stage
from curricula import order_file
from hub import client
from hub.client import Hub
from hub.download import convert, fetch, layout, release, sets
from hub.download.fetch import Snapshot
from hub.download.find import Found, find
from hub.patience import Patience
from hub.publish.names import SUFFIX
from hub.publish.remote import RemoteFile
from hub.publish.stage import RECIPE

#: The small files of our own layout, which say what else there is.
_TEXTS = (order_file.NAME, RECIPE)

Listed = tuple[str, Mapping[str, RemoteFile]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for; see `capcurriculum download --help`."""

    name: str
    revision: str = ""
    stages: tuple[str, ...] = ()
    to: Path | None = None
    val: float = 0.01


@dataclass(frozen=True, slots=True)
class _Seen:
    """A repo with its small files; `listed` is None where only the cache was asked."""

    listed: Listed | None
    snapshot: Snapshot

    @property
    def names(self) -> Sequence[str]:
        """The files it has, as far as that is known."""
        return list(self.listed[1]) if self.listed else self.snapshot.names()


def download(wanted: Wanted, display: Display, patience: Patience | None = None) -> Path:
    """Bring published sets into a run folder and return it.

    Raises:
        CapCurriculumError: with one sentence; running it again goes on.
    """
    target = wanted.to or Path("runs") / _folder_name(wanted.name)
    layout.name_of(target)
    layout.replaceable(target)
    hub = client.reader(patience or Patience(note=display.note))
    found = find(hub, wanted.name)
    seen = [_look(hub, repo, wanted, found) for repo in found.repos]
    ours = [one for one in seen if sets.is_ours(one.names)]
    released = [(one, rows) for one in seen if one not in ours and (rows := release.rows_file(one.names))]
    if ours:
        _ours(hub, ours, wanted, target, display)
    elif released:
        _released(hub, released, wanted, target, display)
    else:
        raise HubError(
            f"{', '.join(found.repos[:3])} holds neither sets of this program nor the released data; check the name."
        )
    return target


def _folder_name(name: str) -> str:
    """What a run is called by default: the name without what every repo's name ends in."""
    return name.strip("/").rpartition("/")[2].removesuffix(SUFFIX)


def _look(hub: Hub, repo: str, wanted: Wanted, found: Found) -> _Seen:
    listed = fetch.listing(hub, repo, wanted.revision) if found.online else None
    return _Seen(listed, fetch.fetch(hub, repo, wanted.revision, _TEXTS, listed))


def _ours(hub: Hub, seen: Sequence[_Seen], wanted: Wanted, target: Path, display: Display) -> None:
    """Sets of a publication of ours."""
    brought, files = [], []
    for one in seen:
        said = sets.read(one.snapshot)
        chosen = [each for each in said.said.sets if not wanted.stages or each.name in wanted.stages]
        if not chosen:
            continue
        patterns = [pattern for each in chosen for pattern in each.data_files.values()]
        snapshot = fetch.fetch(hub, one.snapshot.repo_id, wanted.revision, [*_TEXTS, *patterns], one.listed)
        brought.append(sets.narrowed(sets.read(snapshot), chosen))
        sets.check(brought[-1])
        files.append(layout.origin_of(snapshot, [*_TEXTS, *brought[-1].said.files]))
        display.note(f"{snapshot.repo_id} at {snapshot.oid[:12]}: {len(brought[-1].said.files)} shards checked.")
    if not brought:
        raise HubError(f"There is no set {', '.join(wanted.stages)} in {', '.join(s.snapshot.repo_id for s in seen)}.")

    def fill(folder: Path) -> None:
        names, order = layout.put(folder, brought, wanted.stages), brought[0].said.order
        layout.describe(folder, layout.recipe_of(brought[0].snapshot, target, names, order), files)

    layout.assemble(target, fill)


def _released(
    hub: Hub, seen: Sequence[tuple[_Seen, tuple[str, Stage]]], wanted: Wanted, target: Path, display: Display
) -> None:
    """Data as the paper's authors released it."""
    chosen = {
        stage: (one, rows)
        for stage in Stage
        for one, (rows, its) in seen
        if its is stage and (not wanted.stages or stage in wanted.stages)
    }
    if not chosen:
        raise HubError(f"There is no stage {', '.join(wanted.stages)}; there are {', '.join(s for _, (_, s) in seen)}.")
    repos = {
        stage: (fetch.fetch(hub, one.snapshot.repo_id, wanted.revision, release.patterns(rows), one.listed), rows)
        for stage, (one, rows) in chosen.items()
    }
    files = [layout.origin_of(snapshot, snapshot.names()) for snapshot, _ in repos.values()]
    snapshots = {stage: snapshot for stage, (snapshot, _) in repos.items()}

    def fill(folder: Path) -> None:
        made: Recipe = convert.recipe_of(snapshots, folder, wanted.val)
        convert.fill(made, repos, display)
        layout.describe(folder, layout.for_run(made, target, [str(stage) for stage in repos]), files)

    layout.assemble(target, fill)
