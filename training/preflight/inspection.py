"""Run the checks of a training, keep all that is found, and hand out the files that the trainer is to read.

A link's rows are looked at when its files are asked for, since what is dropped decides its steps; parents and machine
once the chain is known. Nothing is refused here: the caller prints the report and then refuses on any error.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from capcurriculum.errors import TrainerError
from capcurriculum.recipe.training import PreflightSection, TrainingRecipe
from capcurriculum.render.progress import Display
from training import interpreter
from training.preflight.findings import Findings, Severity
from training.preflight.machine import libraries, machine
from training.preflight.machine.need import LinkNeed
from training.preflight.rows import captioned, notes, overlong, schema
from training.preflight.rows.captioned import CaptionData
from training.preflight.rows.measure import Measuring, measure
from training.preflight.rows.notes import StageReport
from training.preflight.rows.overlong import Change
from training.preflight.rows.pool import Pools, slices, with_ids
from training.preflight.rows.settings import Settings, settings_of
from training.preflight.rows.worker import Seen, Slice
from training.stage_files import StageFiles

#: Below a link's folder, files that are not its set's own.
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
    """The files of a set that is not looked at now, as they were when it was."""
    return overlong.recorded(data.files, section.overlong, data.limit, data.folder / _DATA)


class Inspection:
    """One look at a training; a context manager, which ends its processes.

    With `write` false the run stays as it is, files that overlong rows make necessary are named and not made, and no
    program that the recipe names is started. `cache` is where results are remembered, the user's cache folder if None.
    """

    def __init__(self, settings: TrainingRecipe, display: Display, *, write: bool, cache: Path | None = None) -> None:
        self.section = section = settings.preflight
        self.display = display
        self.write = write
        self.findings = Findings(section.examples)
        self.stages: dict[str, StageReport] = {}
        self.machine: dict[str, float | None] = {}
        self._pools = Pools(cache, section.processes)
        self._libraries = self._usable(interpreter.locate(settings))

    def _usable(self, python: str) -> libraries.Libraries | None:
        """The libraries to read rows with: those that train, else those of this environment; None without any."""
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

    def __enter__(self) -> "Inspection":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pools.__exit__(kind, error, trace)

    def files(self, data: LinkData) -> StageFiles:
        """Look at a set's rows and return the files that the trainer reads."""
        section, files, limit = self.section, data.files, data.limit
        report = self.stages[files.stage] = StageReport(files.rows, 0, limit, section.overlong)
        paths = [*files.train, *files.val]
        found = self._libraries
        if not schema.check(paths, files.stage, self.findings):
            return files
        if not data.model.is_dir():  # a plan made where the weights are not, which the caller says
            notes.note_rates(files, (), self.findings)
            return files
        if found is None:
            notes.note_rates(files, (), self.findings)
            return files
        begun = time.monotonic()
        parts = slices(paths, [schema.upright(path) for path in paths])
        fits = section.overlong == "downscale"
        how = Measuring(files.stage, parts, limit, fits, self._pools, self.display, self.findings)
        try:
            settings, seen = measure(how, settings_of(data.model, data.keys, found, exact=section.exact))
            if any(any(one.image_tokens) for one in seen):
                machine.note_pictures(data.model, data.patch, data.keys, self.findings)
            change = self._noted(files, report, settings, parts, seen)
            dropped = change.rows if change and change.policy == "drop" else ()
            notes.note_rates(files, dropped, self.findings)
            return self._made(files, change, settings, data.folder) if change else files
        except TrainerError as error:
            self.findings.error("rows", f"rows could not be looked at: {str(error).rstrip('.')}", files.stage)
            return files
        finally:
            report.seconds = time.monotonic() - begun

    def captions(self, data: CaptionData) -> None:
        """Look at the rows of a set whose captions are taught."""
        stage, paths = data.taught.stage, [*data.taught.train, *data.taught.val]
        report = self.stages[stage] = StageReport(len(data.told), 0, data.limit, "refuse")
        if self._libraries is None or not data.model.is_dir():
            return
        begun = time.monotonic()
        try:
            seen = self._captions(data, slices(paths, [False] * len(paths)))
            report.tokens = captioned.note(data, seen, self.findings)
            report.checked = sum(one.checked for one in seen)
            report.overlong = sum(len(one.overlong) for one in seen)
            report.val_rows = sum(one.checked for one in seen if one.part.number >= len(data.taught.train))
            report.rows = report.checked - report.val_rows
        except TrainerError as error:
            self.findings.error("rows", f"captions could not be looked at: {str(error).rstrip('.')}", stage)
        finally:
            report.seconds = time.monotonic() - begun

    def _captions(self, data: CaptionData, parts: Sequence[Slice]) -> list[Seen]:
        assert self._libraries is not None
        settings = settings_of(data.model, data.keys, self._libraries, exact=self.section.exact)
        if not settings.exact and self._pools.of(settings).one("disagreements"):
            settings = replace(settings, exact=True)
        total = sum(part.stop - part.start for part in parts)
        calls = ((part, {name: data.told[name] for name in ids if name in data.told}) for part, ids in with_ids(parts))
        seen: list[Seen] = []
        with self.display.step(f"preflight {data.taught.stage}", total) as advance:
            pool = self._pools.of(settings)
            for one in pool.each("captions", ((part, told, data.limit) for part, told in calls), total):
                seen.append(one)
                advance(one.part.stop - one.part.start)
        return seen

    def chain(self, links: Sequence[LinkNeed], parent: Path, gpus: int, device: str, nodes: int = 1) -> None:
        """Look at what the links to come need of the machine, and at the weights they begin with.

        Args:
            links: those that are not done, in order; none, and there is nothing to look at.
            parent: the checkpoint that the first of them starts from.
            gpus: all that train together.
            device: "cpu" or "cuda".
            nodes: over which the GPUs are spread.
        """
        if links:
            machine.note_parent(parent, links[0].stage, self.findings)
            capacity = self.section.gpu_memory_gb
            self.machine = machine.note_machine(links, parent, gpus, device, capacity, self.findings, nodes)

    def _noted(
        self, files: StageFiles, report: StageReport, settings: Settings, parts: Sequence[Slice], seen: Sequence[Seen]
    ) -> Change | None:
        """Findings and numbers of a set; what is to be done about overlong rows, None if nothing."""
        train = [one for one in seen if one.part.number < len(files.train)]
        report.val_rows = sum(len(one.tokens) for one in seen) - sum(len(one.tokens) for one in train)
        report.checked = sum(one.checked for one in seen)
        notes.note_faults(files.stage, seen, self.findings)
        notes.note_lengths(files.stage, seen, report, self.findings)
        notes.note_balance(files.stage, train, self.section.balance_limit, report, self.findings)
        rows = [row for one in seen for row in one.overlong]
        report.overlong = len(rows)
        stuck = [row for row in rows if report.policy == "refuse" or (report.policy == "downscale" and not row.fit)]
        if stuck:
            notes.note_refused(files, stuck, report, self.findings)
        if stuck or not rows:
            return None
        notes.note_changed(files, rows, report, self.findings)
        return Change(report.policy, report.limit, settings.digest, rows, overlong.parts_with(rows, parts))

    def _made(self, files: StageFiles, change: Change, settings: Settings, folder: Path) -> StageFiles:
        target = folder / _DATA
        if not self.write:
            return overlong.changed(files, change, target)
        return overlong.make(files, change, target, self._pools.of(settings))
