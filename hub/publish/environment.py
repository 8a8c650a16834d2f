"""The environment beside published sets: one for all sets of an order, the same in each of their repos.

Its `data.json` names each repo at the commit that brought its shards. That commit has to be there first, so the package
comes with the next one; where a repo holds these shards at a commit that its environment names, that one stays, and
publishing again changes nothing.
"""

import re
from collections.abc import Mapping, Sequence

from capcurriculum import __version__
from capcurriculum.engines import gold_check, source
from capcurriculum.engines.source import Source, StageFiles
from capcurriculum.errors import HubError, SourceError
from cards.environment import write
from cards.staged import Staged
from hub.client import Hub
from hub.environment import called, shard_names
from hub.publish import push, remote

_COMMIT = re.compile(r"[0-9a-f]{40}")


def check(staged: Sequence[Staged]) -> None:
    """Check that every gold answer of the staged sets scores 1.0.

    Raises:
        RunError: one does not.
    """
    stages = tuple(
        StageFiles(name=each.name, folder=str(one.folder), files=_files(one)[each.name])
        for one in staged
        for each in one.sets
    )
    gold_check.checked(_source(staged, stages))


def put(staged: Sequence[Staged], revisions: Mapping[str, str]) -> None:
    """Write the package into each staged folder; `revisions` maps a repo to the commit that has its shards."""
    stages = tuple(
        StageFiles(name=each.name, repo=one.repo_id, revision=revisions[one.repo_id], files=_files(one)[each.name])
        for one in staged
        for each in one.sets
    )
    for one in staged:
        write.write(one.folder / write.FOLDER, _source(staged, stages))


def known(hub: Hub, staged: Sequence[Staged], jobs: Sequence[push.Job]) -> dict[str, str]:
    """Repo -> commit that its environment names, if that commit has the staged shards; empty unless all repos have one.

    Raises:
        HubError: the Hub fails.
    """
    found = {one.repo_id: _revision(hub, one, job) for one, job in zip(staged, jobs, strict=True)}
    return {repo: revision for repo, revision in found.items() if revision} if all(found.values()) else {}


def _revision(hub: Hub, one: Staged, job: push.Job) -> str:
    there = remote.look(hub, job.target, push.ref_of(hub, job))
    if there is None:
        return ""
    module = write.names(called(one.recipe, one.order)).module
    name = f"{write.FOLDER}/{module}/{source.NAME}"
    path = remote.text_of(hub, job.target, there.head, name, there.files)
    try:
        stages = source.read(path).stages if path else ()
    except SourceError:
        return ""
    named = {stage.revision for stage in stages if stage.repo == one.repo_id}
    if len(named) != 1 or not _COMMIT.fullmatch(revision := named.pop()):
        return ""
    try:
        earlier = remote.look(hub, job.target, revision)
    except HubError:  # the repo's history was squashed since
        return ""
    shards = [shard for each in one.sets for paths in each.files.values() for shard in paths]
    same = earlier is not None and all(
        remote.LocalFile(shard).is_in(earlier.files.get(shard.relative_to(one.folder).as_posix())) for shard in shards
    )
    return revision if same else ""


def _files(one: Staged) -> dict[str, dict[source.Split, tuple[str, ...]]]:
    """Set -> split -> names in the repo."""
    return {
        each.name: shard_names(each.files, f"{next(iter(each.data_files.values())).rpartition('/')[0]}/")
        for each in one.sets
    }


def _source(staged: Sequence[Staged], stages: tuple[StageFiles, ...]) -> Source:
    first = staged[0]
    return Source(name=called(first.recipe, first.order), capcurriculum=__version__, stages=stages)
