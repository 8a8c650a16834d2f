"""One model's work with VLMEvalKit: a folder for all that can change its replies, its configuration and its commands.

The folder is named by the `setup`, so what the kit takes up again from its own files was asked in the same way.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capcurriculum import prompts
from capcurriculum.rows import digest
from capcurriculum.tables import write_atomically
from evaluation import kits
from evaluation.benchmarks.benchmark import Benchmark
from evaluation.kits import Kit
from evaluation.serving.models import Target
from evaluation.suites import Entry
from evaluation.vlmevalkit.layouts import Layout

NAME = "vlmevalkit"
#: The kit's distributions, the packaged one first.
DISTRIBUTIONS = ("ms-vlmeval", "vlmeval")
HINT = "python -m pip install ms-vlmeval==0.0.20 in one of its own"
#: The name of whoever judges, in the kit's files: some of the kit's names change how it asks.
JUDGE = "judge"
EXACT = "exact_matching"
_VERSION = 1  # of how the kit is told to ask
_REPLY_SECONDS = 1800


@dataclass(frozen=True, slots=True)
class Dataset:
    """A benchmark as the kit knows it; `benchmark` is that of a file, None for one that the kit brings along."""

    entry: Entry
    name: str
    kit_class: str
    layout: Layout
    benchmark: Benchmark | None = None


@dataclass(frozen=True, slots=True)
class Session(kits.Session):
    """Where and how the kit asks one model."""

    @property
    def results(self) -> Path:
        """Where the kit puts predictions and what it found of them."""
        return self.folder / "work" / self.target.alias

    def prediction(self, dataset: Dataset) -> Path:
        """The kit's file of replies."""
        return self.file(dataset, "")

    def file(self, dataset: Dataset, suffix: str, ending: str = "tsv") -> Path:
        """A file of the kit's about a benchmark."""
        return self.results / f"{self.target.alias}_{dataset.name}{suffix}.{ending}"

    def data(self, dataset: Dataset) -> Path:
        """The kit's data folder for a benchmark: of a file one below this folder, else the user's."""
        if dataset.benchmark is not None:
            return self.folder / "data"
        return Path(os.environ.get("LMUData") or Path.home() / "LMUData")  # noqa: SIM112 - the kit's own spelling

    def table(self, dataset: Dataset) -> Path:
        """The benchmark's own file in that folder."""
        return self.data(dataset) / f"{dataset.name}.tsv"

    def variables(self, datasets: Sequence[Dataset]) -> dict[str, str]:
        """What the kit's process is told by its environment; all `datasets` have one data folder."""
        own = datasets[0].benchmark is not None
        data = self.data(datasets[0])
        data.mkdir(parents=True, exist_ok=True)
        # Tables instead of workbooks, whose cells are cut at 32,767 characters; and pictures of our own files as they
        # are, which the kit would enlarge to 100 pixels a side.
        edge = {"VLMEVAL_MIN_IMAGE_EDGE": "1"} if own else {}
        return {"LMUData": str(data), "PRED_FORMAT": "tsv", "EVAL_FORMAT": "csv", **edge}

    def configuration(self, datasets: Sequence[Dataset], url: str, served: str) -> dict[str, Any]:
        """The JSON of `--config`: the model under its alias, the system prompt as a system turn, and the benchmarks."""
        model: dict[str, Any] = {
            "class": "LMDeployAPI",  # any OpenAI-compatible endpoint; the kit's other such class writes keys to its log
            "model": served,
            "api_base": f"{url}/chat/completions",
            "key": "EMPTY",
            "temperature": 0,
            "max_tokens": self.max_tokens,
            "retry": 2,
            "wait": 1,
            "timeout": _REPLY_SECONDS,
            "verbose": False,
        }
        if self.target.system:
            model["system_prompt"] = prompts.system()
        data = {one.name: {"class": one.kit_class, "dataset": one.name} for one in datasets}
        return {"model": {self.target.alias: model}, "data": data}

    def infer(self, datasets: Sequence[Dataset], url: str, served: str) -> list[str]:
        """Write the configuration; the command that asks the model."""
        return [*self.command(self._written(datasets, url, served)), "--mode", "infer"]

    def judge(self, datasets: Sequence[Dataset], url: str) -> list[str]:
        """Write the configuration; the command that grades, with the judge at `url` ("": exact matching)."""
        words = ["--mode", "eval", "--judge", JUDGE if url else EXACT, "--judge-retry", "2"]
        where = ["--judge-base-url", url] if url else []
        # Nobody is asked anything now, but the kit makes the model's client nevertheless.
        return [*self.command(self._written(datasets, "http://127.0.0.1:9/v1", "")), *words, *where]

    def command(self, path: Path) -> list[str]:
        """The kit's arguments for a configuration file."""
        where = ["--work-dir", str(self.folder / "work"), "--api-nproc", str(self.concurrency)]
        return ["-m", "vlmeval.run", "--config", str(path), *where]

    def _written(self, datasets: Sequence[Dataset], url: str, served: str) -> Path:
        path = self.folder / "config.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.configuration(datasets, url, served), indent=1, ensure_ascii=False)
        write_atomically(path, text.encode())
        return path


def setup(kit: Kit, target: Target, max_tokens: int) -> str:
    """Digest of all that can change a reply that the kit gets."""
    system = prompts.digest("system") if target.system else ""
    who = target.weights or [target.label, target.model]
    return digest(NAME, _VERSION, kit.version, who, system, max_tokens)
