"""Run the checks of a training, collect the findings, and return the files that the trainer is to read.

A link's rows are checked when its files are requested, since dropped rows change its number of steps; parents and
machine are checked once the chain is known. Nothing is refused here: the caller prints the report and then refuses on
any error.
"""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from capcurriculum.errors import TrainerError
from capcurriculum.recipe.training import PreflightSection, TrainingRecipe
from capcurriculum.render.progress import Display
from training import interpreter
from training.preflight.findings import Findings, Severity
from training.preflight.machine import libraries, machine, weights
from training.preflight.machine.need import LinkNeed
from training.preflight.rows import notes, overlong, schema
from training.preflight.rows.captioned import CaptionData
from training.preflight.rows.measure import Measuring, measure
from training.preflight.rows.notes import StageReport
from training.preflight.rows.overlong import Change
from training.preflight.rows.pool import Pools, slices, with_ids
from training.preflight.rows.settings import Settings, settings_of
from training.preflight.rows.slices import Seen, Slice
from training.stage_files import StageFiles

#: Below a link's folder: the files that replace its set's.
_DATA = "data"


@dataclass(frozen=True, slots=True)
class LinkData:
    """A link's set as it was built, and how it will be read.

    `keys` is verl's configuration (dotted names to values), `patch` the backbone's patch size in pixels, `model` the
    checkpoint whose processor reads the rows, and `folder` the link's own.
    """

    files: StageFiles
    keys: Mapping[str, Any]
    patch: int
    model: Path
    folder: Path

    @property
    def limit(self) -> int:
        """The longest prompt, in tokens."""
        return int(self.keys["data.max_prompt_length"])


def recorded(data: LinkData, section: PreflightSection) -> StageFiles:
    """The files of a set that is not checked now, as its last check left them."""
    return overlong.recorded(data.files, section.overlong, data.limit, data.folder / _DATA)


class Inspection(ExitStack):
    """The checks of one training; leaving the context ends the worker processes.

    Without `write` the run is not changed, files for overlong rows are named and not made, and no program that the
    recipe names is started. `cache` is the folder for results, the user's cache if None.
    """

    def __init__(self, settings: TrainingRecipe, display: Display, *, write: bool, cache: Path | None = None) -> None:
        super().__init__()
        self.section = section = settings.preflight
        self.display = display
        self.write = write
        self.findings = Findings(section.examples)
        self.stages: dict[str, StageReport] = {}
        self.machine: dict[str, float | None] = {}
        self._pools = self.enter_context(Pools(cache, section.processes))
        self._libraries = self._usable(interpreter.locate(settings))

    def _usable(self, python: str) -> libraries.Libraries | None:
        """The libraries to read rows with: the trainer's, else this environment's, else None."""
        own = libraries.of(sys.executable)
        if python != sys.executable and not self.write:
            text = f"rows are read with this environment's libraries, since a dry run does not start {python}"
            self.findings.note("libraries", f"{text}; where versions differ, so may the lengths")
            python = sys.executable
        theirs = libraries.of(python)
        if theirs is not None and theirs.usable():
            return theirs
        if own is not None and own.usable():
            text = f"rows are read with this environment's libraries, as those of {python} cannot be used for it"
            self.findings.warn("libraries", f"{text}; where versions differ, so may the lengths")
            return own
        lacking = ", ".join(theirs.missing if theirs is not None else libraries.NEEDED)
        text = f"rows are not looked at, for {lacking} cannot be used in the environment of {python}; install "
        severity = Severity.ERROR if self.write else Severity.WARNING
        self.findings.add("libraries", severity, f"{text}capcurriculum[train] there")
        return None

    def files(self, data: LinkData) -> StageFiles:
        """Check a set's rows and return the files that the trainer reads."""
        section, files = self.section, data.files
        report = self.stages[files.stage] = StageReport(files.rows, 0, data.limit, section.overlong)
        paths = [*files.train, *files.val]
        if not schema.check(paths, files.stage, self.findings):
            return files
        if self._libraries is None or not data.model.is_dir():  # both have findings of their own
            notes.note_rates(files, (), self.findings)
            return files
        with self._timed(report, files.stage, "rows"):
            settings = settings_of(data.model, data.keys, self._libraries, exact=section.exact)
            parts = slices(paths, [schema.upright(path) for path in paths])
            fits = section.overlong == "downscale"
            how = Measuring(files.stage, parts, data.limit, fits, self._pools, self.display, self.findings)
            settings, seen = measure(how, settings)
            if any(any(one.image_tokens) for one in seen):
                machine.note_pictures(data.model, data.patch, data.keys, self.findings)
            change = self._noted(files, report, settings, parts, seen)
            dropped = change.rows if change and change.policy == "drop" else ()
            notes.note_rates(files, dropped, self.findings)
            if change and self.write:
                return overlong.make(files, change, data.folder / _DATA, self._pools.of(settings))
            return overlong.changed(files, change, data.folder / _DATA) if change else files
        return files

    def captions(self, data: CaptionData) -> None:
        """Check the rows of a set that trains on captions."""
        stage, paths = data.taught.stage, [*data.taught.train, *data.taught.val]
        report = self.stages[stage] = StageReport(len(data.captions), 0, data.limit, "refuse")
        if self._libraries is None or not data.model.is_dir():
            return
        with self._timed(report, stage, "captions"):
            seen = self._captions(data, self._libraries, slices(paths, [False] * len(paths)))
            notes.note_captions(data, seen, report, self.findings)

    @contextmanager
    def _timed(self, report: StageReport, stage: str, what: str) -> Iterator[None]:
        """Record the seconds of a check, and its error as a finding."""
        begun = time.monotonic()
        try:
            yield
        except TrainerError as error:
            self.findings.error("rows", f"{what} could not be looked at: {str(error).rstrip('.')}", stage)
        finally:
            report.seconds = time.monotonic() - begun

    def _captions(self, data: CaptionData, found: libraries.Libraries, parts: Sequence[Slice]) -> list[Seen]:
        settings = settings_of(data.model, data.keys, found, exact=self.section.exact)
        if not settings.exact and self._pools.of(settings).one("disagreements"):
            settings = replace(settings, exact=True)
        total = sum(part.stop - part.start for part in parts)
        calls = (
            (part, {name: data.captions[name] for name in ids if name in data.captions}, data.limit)
            for part, ids in with_ids(parts)
        )
        seen: list[Seen] = []
        with self.display.step(f"preflight {data.taught.stage}", total) as advance:
            for one in self._pools.of(settings).each("captions", calls, total):
                seen.append(one)
                advance(one.part.stop - one.part.start)
        return seen

    def chain(self, links: Sequence[LinkNeed], parent: Path, gpus: int, device: str, nodes: int = 1) -> None:
        """Check the weights that the links start from, and what they need of the machine.

        Args:
            links: those that are not done, in order.
            parent: the checkpoint that the first of them starts from.
            gpus: of all nodes together.
            device: "cpu" or "cuda".
            nodes: over which the GPUs are spread.
        """
        if links:
            for fault in weights.faults(parent):
                text = f"the parent checkpoint {parent} is not usable: {fault}"
                self.findings.error("weights", text, links[0].stage)
            capacity = self.section.gpu_memory_gb
            self.machine = machine.note_machine(links, parent, gpus, device, capacity, self.findings, nodes)

    def _noted(
        self, files: StageFiles, report: StageReport, settings: Settings, parts: Sequence[Slice], seen: Sequence[Seen]
    ) -> Change | None:
        """Note findings and numbers of a set; returns the change for overlong rows, None if there is none."""
        train = [one for one in seen if one.part.number < len(files.train)]
        report.val_rows = sum(len(one.tokens) for one in seen) - sum(len(one.tokens) for one in train)
        report.checked = sum(one.checked for one in seen)
        notes.note_faults(files.stage, seen, self.findings)
        notes.note_lengths(files.stage, seen, report, self.findings)
        notes.note_balance(files.stage, train, self.section.balance_limit, report, self.findings)
        rows = [row for one in seen for row in one.overlong]
        report.overlong = len(rows)
        refused = [row for row in rows if report.policy == "refuse" or (report.policy == "downscale" and not row.fit)]
        if refused:
            notes.note_refused(files, refused, report, self.findings)
        if refused or not rows:
            return None
        notes.note_changed(files, rows, report, self.findings)
        return Change(report.policy, report.limit, settings.digest, rows, parts)
