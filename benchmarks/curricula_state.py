"""The folder of the comparison: one small file for every finished training, so that a stopped comparison goes on."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.curricula_records import Measured, Outcome, Step
from capcurriculum.errors import RunError
from capcurriculum.tables import write_atomically

START = "start"


@dataclass(frozen=True, slots=True)
class Job:
    """One training: which version of the rows, which arm, learning rate and seed; `START` is the start, untrained."""

    version: str
    arm: str
    rate: float
    seed: int

    @property
    def name(self) -> str:
        """The name of its file, without the ending."""
        return f"{self.version}-{self.arm.replace(' ', '_')}-lr{self.rate:g}-seed{self.seed}"


class State:
    """What is finished.

    Raises:
        RunError: the folder was made with other knobs, or one of its files is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def agree(self, knobs: Mapping[str, Any]) -> None:
        """Note what all trainings of the folder share, or compare it with what was noted."""
        file, told = self.folder / "knobs.json", json.loads(json.dumps(knobs))
        if not file.is_file():
            _write(file, told)
        if (noted := _read(file)) != told:
            odd = next(name for name in [*told, *noted] if noted.get(name) != told.get(name))
            raise RunError(
                f"{self.folder} was made with another {odd} ({noted.get(odd)!r}, now {told.get(odd)!r}), so its "
                "trainings cannot stand beside new ones; name another folder with --state."
            )

    def rates(self, version: str) -> dict[str, tuple[int, int]]:
        """The start's replies to the training rows (right, readable), once it has answered them."""
        return {name: (k, n) for name, (k, n) in _read(self.folder / f"rates-{version}.json").items()}

    def save_rates(self, version: str, rates: Mapping[str, tuple[int, int]]) -> None:
        """Keep them."""
        _write(self.folder / f"rates-{version}.json", rates)

    def done(self, job: Job) -> bool:
        """Whether the training is finished."""
        return self._file(job).is_file()

    def save(self, job: Job, outcome: Outcome) -> None:
        """Keep a finished training."""
        _write(self._file(job), asdict(job) | asdict(outcome))

    def load(self, job: Job) -> Outcome:
        """What a finished training gave."""
        return _outcome(_read(self._file(job)))

    def finished(self) -> Iterator[tuple[Job, Outcome]]:
        """Every finished training, by name."""
        for file in sorted((self.folder / "trainings").glob("*.json")):
            data = _read(file)
            yield Job(data["version"], data["arm"], data["rate"], data["seed"]), _outcome(data)

    def _file(self, job: Job) -> Path:
        return self.folder / "trainings" / f"{job.name}.json"


def _outcome(data: Mapping[str, Any]) -> Outcome:
    return Outcome(
        [Step(**step) for step in data["steps"]],
        {int(step): _stages(found) for step, found in data["curve"].items()},
        _stages(data["final"]),
        data["rollouts"],
    )


def _stages(data: Mapping[str, Any]) -> dict[str, Measured]:
    return {stage: Measured(**found) for stage, found in data.items()}


def _write(file: Path, data: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, json.dumps(data).encode())


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{file} is damaged ({error}); remove it, and it is made again.") from error
