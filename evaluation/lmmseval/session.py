"""The evaluation of one model by lmms-eval: its folder, named by the set-up, its tasks and its command.

Chat models of lmms-eval send no system message, whatever `--system_instruction` says (version 0.7.3 puts it into the
text of models that take no messages), so the relay adds it.
"""

import glob
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from capcurriculum import prompts
from capcurriculum.files.unfinished import removed_if_it_fails
from capcurriculum.tables import publish, write_atomically
from evaluation import kits
from evaluation.benchmarks.benchmark import Benchmark
from evaluation.suites import Entry

NAME = "lmms-eval"
#: The beginning of the text that replaces a missing reply.
NO_REPLY = "[LMMS_EVAL_REQUEST_FAILED"
_IMAGE = pa.struct([("bytes", pa.binary())])
_SCHEMA = pa.schema([("problem", pa.string()), ("options", pa.list_(pa.string())), ("answer", pa.string()),
                     ("images", pa.list_(_IMAGE))])  # fmt: skip


@dataclass(frozen=True, slots=True)
class Layout:
    """The key of a task's headline metric in `results.json`, the key of a sample's score, and the metric's name."""

    metric: str
    key: str
    name: str = "accuracy"

    def score(self, sample: Mapping[str, Any]) -> float:
        """The score of a sample, from 0 to 1."""
        value = sample[self.key]
        return float(value["score"] if isinstance(value, dict) else value)


FILE = Layout("accuracy,none", "accuracy")
#: Tasks that lmms-eval grades without a judge, from its source.
LAYOUTS: Mapping[str, Layout] = {
    "realworldqa": Layout("exact_match,none", "exact_match"),
    "mmstar": Layout("average,none", "average", "mean accuracy of categories"),
    "pope": Layout("pope_f1_score,none", "pope_accuracy", "F1"),
    "chartqa": Layout("relaxed_overall,none", "relaxed_overall"),
    "textvqa_val": Layout("exact_match,none", "exact_match", "VQA score"),
}


@dataclass(frozen=True, slots=True)
class Task:
    """A benchmark as lmms-eval knows it; `benchmark` is set for a file."""

    entry: Entry
    name: str
    layout: Layout
    benchmark: Benchmark | None = None


@dataclass(frozen=True, slots=True)
class Session(kits.Session):
    """The evaluation of one model by lmms-eval."""

    name: ClassVar[str] = NAME
    distributions: ClassVar[tuple[str, ...]] = ("lmms-eval", "lmms_eval")
    hint: ClassVar[str] = "python -m pip install lmms-eval==0.7.3 in one of its own"

    def output(self, task: Task) -> Path:
        """The output folder of a task."""
        return self.folder / "work" / task.name

    def write(self, task: Task, root: Path) -> None:
        """Write the task of a benchmark file, whose images lie below `root`."""
        if task.benchmark is None:
            return
        folder = self.folder / "tasks"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(__file__).with_name("functions.py"), folder / "functions.py")
        rows = [
            {"problem": item.problem, "options": list(item.options), "answer": item.gold.upper(),
             "images": [{"bytes": (root / name).read_bytes()} for name in item.images]}
            for item in task.benchmark.items
            if not item.fault
        ]  # fmt: skip
        data = folder / f"{task.name}.parquet"
        temporary = data.with_suffix(".tmp")
        with removed_if_it_fails(temporary):
            pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), temporary, compression="zstd")
            publish(temporary, data)
        write_atomically(folder / f"{task.name}.yaml", self._task(task, data).encode())

    def _task(self, task: Task, data: Path) -> str:
        fields = {
            "task": task.name,
            "dataset_path": "parquet",
            "dataset_kwargs": {"data_files": {"test": glob.escape(str(data))}},
            "test_split": "test",
            "output_type": "generate_until",
            "doc_to_target": "answer",
            "generation_kwargs": {"max_new_tokens": self.max_tokens, "temperature": 0, "do_sample": False},
            "metadata": [{"version": 0.0}],
        }
        functions = {"doc_to_visual": "visual", "doc_to_text": "text", "process_results": "process"}
        lines = [f"{key}: !function functions.{name}" for key, name in functions.items()]
        metrics = "metric_list:\n  - {metric: accuracy, aggregation: mean, higher_is_better: true}\n" \
                  "  - {metric: letter, aggregation: !function functions.last, higher_is_better: true}"  # fmt: skip
        return f"{yaml.safe_dump(fields, sort_keys=False)}{chr(10).join(lines)}\n{metrics}\n"

    def command(self, task: Task, url: str, served: str) -> list[str]:
        """lmms-eval's arguments for one task."""
        # No api_key, since other users can read a command line; lmms-eval takes that of its environment.
        model = f"model={served},base_url={url},num_concurrent={self.concurrency},timeout=1800,max_retries=2"
        words = ["-m", "lmms_eval", "--model", "openai", "--model_args", model, "--tasks", task.name]
        words += ["--gen_kwargs", f"max_new_tokens={self.max_tokens},temperature=0,do_sample=False"]
        words += ["--batch_size", "1", "--output_path", str(self.output(task)), "--log_samples"]
        return [*words, *(["--include_path", str(self.folder / "tasks")] if task.benchmark else [])]

    def variables(self, task: Task) -> dict[str, str]:
        """Environment variables of its process; benchmark files need no network."""
        offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(self.folder / "cache")} if task.benchmark else {}
        return {"LMMS_EVAL_USE_CACHE": "False", **offline}

    @property
    def system(self) -> str:
        """The system message that the relay adds."""
        return prompts.system() if self.target.system else ""


def results_of(folder: Path, pattern: str) -> Sequence[Path]:
    """Files below an output folder, oldest first, as their names begin with a timestamp."""
    return sorted(folder.glob(f"**/{pattern}"), key=lambda path: path.name)
