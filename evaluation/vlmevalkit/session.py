"""The evaluation of one model by VLMEvalKit: its folder, its configuration and its commands.

The folder is named by the set-up, so files that the kit resumes from were made by the same requests.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from capcurriculum import prompts
from capcurriculum.tables import write_atomically
from evaluation import kits
from evaluation.benchmarks.benchmark import Benchmark
from evaluation.suites import Entry
from evaluation.vlmevalkit.layouts import Layout

NAME = "vlmevalkit"
#: The judge's name in the kit's files; some model names would change how the kit asks.
JUDGE = "judge"
EXACT = "exact_matching"
_REPLY_SECONDS = 1800


@dataclass(frozen=True, slots=True)
class Dataset:
    """A benchmark as the kit knows it; `benchmark` is set for a file and None for the kit's own."""

    entry: Entry
    name: str
    kit_class: str
    layout: Layout
    benchmark: Benchmark | None = None


@dataclass(frozen=True, slots=True)
class Session(kits.Session):
    """The evaluation of one model by the kit."""

    name: ClassVar[str] = NAME
    distributions: ClassVar[tuple[str, ...]] = ("ms-vlmeval", "vlmeval")
    hint: ClassVar[str] = "python -m pip install ms-vlmeval==0.0.20 in one of its own"

    @property
    def results(self) -> Path:
        """The kit's folder of predictions and their grades."""
        return self.folder / "work" / self.target.alias

    def file(self, dataset: Dataset, suffix: str = "", ending: str = "tsv") -> Path:
        """One of the kit's files on a benchmark; without a suffix that of the replies."""
        return self.results / f"{self.target.alias}_{dataset.name}{suffix}.{ending}"

    def data(self, dataset: Dataset) -> Path:
        """The kit's data folder for a benchmark: below this folder for a file, else the user's."""
        if dataset.benchmark is not None:
            return self.folder / "data"
        return Path(os.environ.get("LMUData") or Path.home() / "LMUData")  # noqa: SIM112 - the kit's own spelling

    def table(self, dataset: Dataset) -> Path:
        """The benchmark's file in the data folder."""
        return self.data(dataset) / f"{dataset.name}.tsv"

    def variables(self, datasets: Sequence[Dataset]) -> dict[str, str]:
        """Environment variables of the kit's process; all `datasets` have one data folder."""
        data = self.data(datasets[0])
        data.mkdir(parents=True, exist_ok=True)
        # TSV, since workbooks cut cells at 32,767 characters; and images of files unchanged, which the kit would
        # enlarge to 100 pixels a side.
        edge = {"VLMEVAL_MIN_IMAGE_EDGE": "1"} if datasets[0].benchmark else {}
        return {"LMUData": str(data), "PRED_FORMAT": "tsv", "EVAL_FORMAT": "csv", **edge}

    def configuration(self, datasets: Sequence[Dataset], url: str, served: str) -> dict[str, Any]:
        """The JSON of `--config`: the model under its alias, with its system prompt, and the benchmarks."""
        model: dict[str, Any] = {
            "class": "LMDeployAPI",  # any OpenAI-compatible endpoint; the kit's other class for these logs keys
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
        """Write the configuration; returns the command that asks the model."""
        return [*self.command(self._written(datasets, url, served)), "--mode", "infer"]

    def judge(self, datasets: Sequence[Dataset], url: str) -> list[str]:
        """Write the configuration; returns the command that grades, with the judge at `url` ("": exact matching)."""
        words = ["--mode", "eval", "--judge", JUDGE if url else EXACT, "--judge-retry", "2"]
        where = ["--judge-base-url", url] if url else []
        # The model gets no request in this mode, but the kit creates its client.
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
