"""Convert released data into a run: its recipe, its tables, and its stage files with the code of a build."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from capcurriculum import recipe
from capcurriculum.errors import HubError
from capcurriculum.reasons import Reason
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.filter_section import Phase
from capcurriculum.render.progress import Display
from capcurriculum.rows import Stage, Verdict
from capcurriculum.run import Run, writing
from curricula.make import STAGES, write_orders
from datagen.batched import windows
from datagen.sources import gather
from datagen.sources.images.store import Store
from datagen.sources.source import FILTER
from filters import pipeline
from hub.download import release
from hub.download.fetch import Snapshot
from hub.download.layout import BACKBONE

#: Rows in memory at once.
FLUSH_ROWS = 512
#: Name in the recipe -> the paper's model; none of them is called here.
_MODELS = {
    "teacher": "Qwen/Qwen2.5-72B-Instruct",
    "filter_7b": "Qwen/Qwen2.5-VL-7B-Instruct",
    "filter_32b": "Qwen/Qwen2.5-VL-32B-Instruct",
    release.SOLVER: "Qwen/Qwen3-VL-8B-Instruct",
}
_ADDRESS = "http://127.0.0.1:8000/v1"
_ROLLOUTS = {"temperature": 0.7, "top_p": 0.9, "top_k": 20, "max_tokens": 1024}


def recipe_of(repos: Mapping[Stage, Snapshot], folder: Path, val: float) -> Recipe:
    """The release's settings as a recipe, from the paper and its scripts; `val` is the share of validation rows.

    Raises:
        RecipeError: `val` is not in [0, 1).
    """
    data: dict[str, Any] = {
        "name": folder.name,
        "runs": str(folder.parent),
        "models": {name: {"engine": "openai", "model": m, "base_urls": [_ADDRESS]} for name, m in _MODELS.items()},
        "rollouts": {"model": release.SOLVER, "k": 16, "sampling": _ROLLOUTS},
        "filters": [{"name": "rollouts"}],
        "split": {"val": val, "test": 0.0},
        "training": {"backbone": BACKBONE, "stages": [{"stage": stage.value} for stage in Stage if stage in repos]},
    }
    for stage, snapshot in repos.items():
        source: dict[str, Any] = {"repo": snapshot.repo_id, "revision": snapshot.oid, "source": "released"}
        if stage is Stage.PERCEPTION:
            columns = {"image": "images", "caption": "problem"}
            data[stage.value] = {
                "source": source | {"kind": "captions", "columns": columns},
                "teacher": {"model": "teacher"},
                "probe": {"solvers": ["filter_7b", "filter_32b"], "arms": ["image", "caption"]},
            }
        else:
            image = "" if stage is Stage.TEXT else "images"
            data[stage.value] = {"source": source | {"kind": "problems", "columns": {"image": image}}}
    return recipe.parse(data, "of the released data")


def fill(wanted: Recipe, repos: Mapping[Stage, tuple[Snapshot, str]], display: Display) -> None:
    """Write the run of `wanted` from the released (repo, file of rows) of each stage.

    Raises:
        SourceError: rows or images cannot be read.
        HubError: no row of a stage is usable.
        RunError: a stage would be empty.
    """
    with writing(wanted) as run:
        for stage, (snapshot, rows) in repos.items():
            _append(run, snapshot, rows, stage, display)
        pipeline.run_phase(gather.setting(run, wanted), Phase.ROLLOUT)
        write_orders(run, wanted, [STAGES], display)


def _append(run: Run, snapshot: Snapshot, rows: str, stage: Stage, display: Display) -> None:
    reasons: Counter[str] = Counter()
    kept = 0
    with display.step(f"convert, {stage}", None) as advance:
        for window in windows(release.read(snapshot, rows, stage, Store(run.path)), FLUSH_ROWS):
            usable = [row.question for row in window if row.question]
            run.questions.append(usable)
            run.answers.append(answer for row in window for answer in row.answers)
            run.verdicts.append(Verdict(q.question_id, q.stage, FILTER, True, Reason.KEPT) for q in usable)
            run.verdicts.append(row.verdict for row in window if row.verdict)
            reasons.update(str(row.verdict.reason) for row in window if row.verdict)
            kept += len(usable)
            advance(len(window))
    lost = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
    display.note(f"{snapshot.repo_id}: {kept} rows used{', not used because of ' + lost if lost else ''}.")
    if not kept:
        raise HubError(f"No row of {snapshot.repo_id} could be used ({lost or 'it has none'}).")
