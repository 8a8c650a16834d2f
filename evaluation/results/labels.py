"""Resolve the name of an evaluated model: a label in an evaluation folder, or the folder itself.

A label may have replies of several set-ups (retrained, other sampling). Those of its score count, or of its state while
there is no score.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from capcurriculum.did_you_mean import meant
from capcurriculum.errors import RunError
from evaluation.results import results
from evaluation.results.results import Score, State
from evaluation.results.samples import Sample, samples

#: The folder of evaluations without a run.
DEFAULT = "evaluations"
#: Suite and benchmark.
Benchmark = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Measured:
    """A model in an evaluation folder: its `name` for users, its label (`model`), its scores and states."""

    name: str
    model: str
    folder: Path
    scores: Mapping[Benchmark, Score]
    states: Mapping[Benchmark, State]

    @property
    def benchmarks(self) -> list[Benchmark]:
        """Its benchmarks, sorted."""
        return sorted({*self.scores, *self.states})

    @property
    def weights(self) -> str:
        """The digest of its checkpoint, "" if unknown or not the same for all scores."""
        found = {score.weights for score in self.scores.values()}
        return found.pop() if len(found) == 1 else ""

    def asked(self, benchmark: Benchmark) -> tuple[str, str]:
        """Set-up and benchmark digest of the replies that count, "" without any."""
        found = self.scores.get(benchmark) or self.states.get(benchmark)
        return (found.setup, found.benchmark_digest) if found else ("", "")

    def replies(self) -> dict[Benchmark, dict[str, Sample]]:
        """Benchmark -> sample id -> the reply that counts; raises `RunError` where the table is damaged."""
        setups = {self.asked(benchmark)[0] for benchmark in self.benchmarks} - {""}
        found: defaultdict[tuple[str, str], dict[str, Sample]] = defaultdict(dict)
        for one in samples(self.folder, pl.col("setup").is_in(sorted(setups))):
            found[one.setup, one.benchmark_digest][one.sample] = one
        return {benchmark: found.get(self.asked(benchmark), {}) for benchmark in self.benchmarks}


def measured(named: Sequence[str], within: str | None = None) -> list[Measured]:
    """The models called so: labels in the folder `within`, `FOLDER`, or `FOLDER:LABEL`.

    Raises:
        RunError: there is no such model, a name means several, or two names mean the same.
    """
    folder = results.folder_of(within) if within else None
    found = [_one(name, folder) for name in named]
    keys = [(one.folder.resolve(), one.model) for one in found]
    if twice := next((one.name for one, key in zip(found, keys, strict=True) if keys.count(key) > 1), ""):
        raise RunError(f"{twice} is named twice; name each model once.")
    for place in (_called, str):  # equal labels are distinguished by the run, else by the folder
        names = [one.name for one in found]
        found = [replace(one, name=f"{one.model} ({place(one.folder)})") if names.count(one.name) > 1 else one
                 for one in found]  # fmt: skip
    return found


def _one(name: str, within: Path | None) -> Measured:
    """A label in `within` or `DEFAULT`, else a folder with one model, or `FOLDER:LABEL`."""
    default = within or Path(DEFAULT)
    labels = _labels(default) if default.is_dir() else {}
    if name in labels:
        return labels[name]
    for end in (at for at, character in enumerate(name) if character == ":" and at):  # labels may contain colons
        try:
            folder = results.folder_of(name[:end])
        except RunError:
            continue
        return _labelled(_labels(folder), name[end + 1 :], str(folder))
    if within is not None:
        return _labelled(labels, name, str(within))
    labels = _labels(results.folder_of(name))
    if len(labels) != 1:
        known = ", ".join(labels) or "none"
        raise RunError(f"{name} holds results of several models or of none ({known}); name one as {name}:MODEL.")
    return next(iter(labels.values()))


def _labelled(labels: Mapping[str, Measured], label: str, place: str) -> Measured:
    if label not in labels:
        known = ", ".join(labels) or "none; run `capcurriculum evaluate` first"
        raise RunError(f"{place} has no results of a model {label}{meant(label, labels)}; its models are: {known}.")
    return labels[label]


def _labels(folder: Path) -> dict[str, Measured]:
    scores, states = results.scores_in(folder), results.states(folder)
    return {
        label: Measured(
            label,
            label,
            folder,
            {(one.suite, one.benchmark): one for one in scores if one.model == label},
            {(one.suite, one.benchmark): one for one in states if one.model == label},
        )
        for label in sorted({*(one.model for one in scores), *(one.model for one in states)})
    }


def _called(folder: Path) -> str:
    """The name of the run of an evaluation folder, else of the folder."""
    resolved = folder.resolve()
    return resolved.parent.name if resolved.name == results.FOLDER else resolved.name
