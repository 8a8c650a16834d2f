"""Write the card of a model from its training plan, its results, and its training rows.

The same run gives the same bytes: no time, no local path. Missing parts are marked as unknown or not measured.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capcurriculum import prompts
from capcurriculum.errors import HubError, RunError
from capcurriculum.files import json_file
from capcurriculum.render.markdown import Md, block, code, link, listed
from capcurriculum.run import Run
from capcurriculum.tables import write_atomically
from cards import citations, licences, templates
from cards.dataset import parts as data_parts
from cards.dataset import rows
from cards.licences import UNKNOWN
from cards.model import compared, parts, scores
from cards.model.base import Base, base
from cards.model.limits import limits
from cards.model.training import Stage, Training, training
from cards.staged import StagedModel, StagedSet
from evaluation.published import paper
from evaluation.results import results
from evaluation.results.comparisons import Pair
from evaluation.results.results import HeldOut, Score
from training import stage_files, stage_sets
from training.preflight.rows import overlong
from training.refresh import files as refreshed
from training.supervise import curves

IMAGES = "pictures"
TASK = "image-text-to-text"
TAGS = ("capcurriculum", "curriculum-learning", "grpo", "verl", "vision-language-model")


def render(staged: StagedModel) -> Sequence[Path]:
    """Write `README.md` and its plot into the staged folder; returns their paths.

    Raises:
        HubError: the Hub's library would refuse the metadata.
        RunError: results in the run, or the checkpoint's configuration, are damaged.
        TrainerError: the plan in the run is damaged.
    """
    run = staged.run
    chain = training(run, staged.stage, staged.folder) if run else Training()
    start = base(staged.recipe, chain.stages[0].parent if chain.stages else "")
    sets = _sets(staged, chain)
    counted = rows.sources(sets) if sets else []
    found = licences.of((one.license, one.rows) for one in counted)
    measured = _results(run, chain, start)
    curve = _curve(staged.folder, chain)
    card = templates.write_card(
        staged.folder,
        __package__,
        _metadata(staged, start, measured.scores),
        title=data_parts.title(staged.repo_id.rpartition("/")[2]),
        start=parts.start(start),
        path=Md(" → ".join(code(one.stage) for one in chain.stages) or "unknown"),
        architecture=parts.architecture(_config(staged.folder)),
        license=_license(start),
        datasets=listed(map(data_parts.repo, staged.datasets), none=""),
        **measured.values,
        **_trained(chain, staged),
        curve=parts.curve(chain),
        prompt=block(prompts.system()),
        prompt_digest=code(prompts.digest("system")),
        serve=parts.serve(staged.repo_id, parts.longest(chain.stages)),
        limits=limits(start, chain, measured.held, measured.pairs, found),
        data=_data(run, counted),
        licences=data_parts.licences(found),
        citation=block(citations.PAPER, 4_000, "bibtex"),
    )
    return [*curve, card]


def _sets(staged: StagedModel, chain: Training) -> list[StagedSet]:
    """The training sets of a chain's stages; empty if the run has other rows by now."""
    run, recipe = staged.run, staged.recipe
    if run is None or recipe is None or recipe.training is None or recipe.training.name != chain.name:
        return []
    folder = stage_sets.folder_of(run, recipe, recipe.training)
    found = []
    for one in chain.stages:
        if not _as_trained(run, chain, one, folder / one.stage):
            return []
        # With files for each epoch, those of the first have all rows.
        for place in (folder / one.stage, folder / one.stage / "epoch-01"):
            if files := tuple(sorted(place.glob("train-*.parquet"))):
                found.append(StagedSet(one.stage, one.stage, {}, {"train": files}))
    return found


def _as_trained(run: Run, chain: Training, stage: Stage, folder: Path) -> bool:
    """Whether the files of a set are those in the plan; true where the plan has no digest, and for captions."""
    places = sorted(folder.glob("epoch-*")) or [folder]
    if not stage.dataset_digest or stage.method == "SFT" or not stage_files.train_files(places):
        return True
    training = run.path / "trainings" / chain.name if chain.name else run.path / "training"
    own = training / stage.stage
    # A refresh is made of the files that the preflight left.
    left = refreshed.made_from(own / "refresh", stage.dataset_digest)
    return stage_files.set_files(stage.stage, places).digest == overlong.made_from(own / "data", left)


@dataclass(frozen=True, slots=True)
class _Results:
    """The values of the template's results, held-out scores, benchmark scores of this checkpoint, and comparisons."""

    values: Mapping[str, Any]
    held: Sequence[HeldOut]
    scores: Sequence[Score]
    pairs: Sequence[Pair]


def _results(run: Run | None, chain: Training, start: Base | None) -> _Results:
    published = paper().of(start.hub) if start and start.hub else ()
    measured: dict[str, list[Score]] = {}
    found = results.scores_in(run.path / results.FOLDER) if run and chain.stages else []
    for score in found:
        measured.setdefault(score.model, []).append(score)
    held = scores.chosen(results.held_out(run.path), chain) if run and chain.stages else []
    tables, pairs = compared.compared(run, chain, found) if run else ([], [])
    values = {
        "headline": scores.headline(paper(), published, measured),
        "benchmarks": scores.benchmarks(published, measured),
        "compared": tables,
        "held_out": scores.held_out(held),
        "paper": link(paper().paper, paper().url),
        "judge": Md(paper().judge),
    }
    return _Results(values, held, compared.own_scores(found, chain), pairs)


def _trained(chain: Training, staged: StagedModel) -> dict[str, Any]:
    frozen = [Md(f"{code(one.stage)} {code(one.frozen)}") for one in chain.stages if one.frozen]
    ranks = [Md(f"{code(one.stage)} {one.adapters}") for one in chain.stages if one.adapters]
    text = f"Frozen (stage, weights): {listed(frozen)}." if frozen else ""
    if ranks:
        text += f" LoRA adapters were trained and merged into the weights (stage, rank): {listed(ranks)}."
    return {
        "stages": parts.stages(chain),
        "knobs": parts.knobs(chain) or Md(""),
        "vision": Md(text.strip() or "No weights were frozen."),
        "digests": parts.digests(chain),
        "command": block("capcurriculum train recipe.yaml", language="sh"),
    }


def _curve(folder: Path, chain: Training) -> list[Path]:
    """Write the plot of the chain's metrics, if there are any; returns its path."""
    if not parts.drawn(chain):
        return []
    path = folder / IMAGES / "training.png"
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, curves.picture({chain.name: chain.frame}, "png"))
    return [path]


def _data(run: Run | None, counted: Sequence[rows.SourceCount]) -> Md | None:
    if run is None or not counted:
        return None
    declared = citations.declared(run)
    return data_parts.sources(counted, {one.source: citations.origin(one.source, declared) for one in counted})


def _license(start: Base | None) -> Md:
    if start is None or start.license == UNKNOWN or not start.evidence:
        return Md("unknown, as that of its base model")
    return Md(f"{code(start.license)}, that of {code(start.name)} ({start.evidence})")


def _config(folder: Path) -> Mapping[str, Any]:
    try:
        data = json_file.read(folder / "config.json")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise RunError(f"{folder / 'config.json'} cannot be read ({error}); export the checkpoint again.") from error
    return data if isinstance(data, dict) else {}


def _metadata(staged: StagedModel, start: Base | None, found: Sequence[Score]) -> str:
    """The YAML metadata, written and read back by the Hub's library; raises `HubError` if the library refuses it."""
    from huggingface_hub import EvalResult, ModelCard, ModelCardData

    try:
        data = ModelCardData(
            license=start.license if start else UNKNOWN,
            base_model=start.hub if start and start.hub else None,
            datasets=list(staged.datasets) or None,
            pipeline_tag=TASK,
            library_name="transformers",
            tags=list(TAGS),
            model_name=staged.repo_id.rpartition("/")[2],
            eval_results=[EvalResult(**one) for one in _eval_results(found)] or None,
        )
        text = str(data.to_yaml())
        ModelCard(f"---\n{text}\n---\n")
    except (ValueError, TypeError) as error:
        raise HubError(
            f"The card of {staged.repo_id} cannot be written ({error}); check the names in the recipe."
        ) from error
    return text


def _eval_results(scores: Sequence[Score]) -> list[dict[str, Any]]:
    """The scores of this checkpoint in the format of the Hub's `model-index`."""
    found = {score.benchmark: score for score in scores}
    return [
        {
            "task_type": TASK,
            "dataset_type": name,
            "dataset_name": name,
            "metric_type": "accuracy" if score.metric == "accuracy" else score.metric,
            "metric_name": "percent of right answers" if score.metric == "accuracy" else score.metric,
            "metric_value": round(score.score, 2),
        }
        for name, score in sorted(found.items())
    ]
