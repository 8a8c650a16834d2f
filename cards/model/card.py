"""Fill the template of a model card with its training plan, what was measured of it, and the rows it was trained on.

Same run, same bytes: no clock, no path of this machine. What is not there is said to be unknown or not measured.
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
from cards.model import compared, headline, parts
from cards.model.base import Base, base
from cards.model.heldout import chosen
from cards.model.limits import limits
from cards.model.training import Stage, Training, training
from cards.staged import StagedModel, StagedSet
from evaluation.published import paper
from evaluation.results import results
from evaluation.results.comparisons import Pair
from evaluation.results.results import HeldOut, Score
from training import stage_files, stage_sets
from training.preflight.rows import overlong
from training.supervise import curves

PICTURES = "pictures"
TASK = "image-text-to-text"
TAGS = ("capcurriculum", "curriculum-learning", "grpo", "verl", "vision-language-model")


def render(staged: StagedModel) -> Sequence[Path]:
    """Write the card; see `cards.model.render_model`."""
    run = staged.run
    chain = training(run, staged.stage, staged.folder) if run else Training((), {})
    start = base(staged.recipe, chain.stages[0].parent if chain.stages else "")
    taught = _sets(staged, chain)
    counted = rows.sources(taught) if taught else []
    found = licences.of(_sums(counted))
    measured = _results(run, chain, start)
    curve = _curve(staged.folder, chain)
    body = templates.render(
        __package__,
        "README.md.jinja",
        title=data_parts.title(staged.repo_id.rpartition("/")[2]),
        start=parts.start(start),
        path=parts.path(chain),
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
        citation=parts.citation(),
    )
    text = f"---\n{_metadata(staged, start, measured.scores)}\n---\n\n{body.strip()}\n"
    card = staged.folder / "README.md"
    write_atomically(card, text.encode())
    return [*curve, card]


def _sums(counted: Sequence[rows.SourceCount]) -> dict[str, int]:
    names = sorted({one.license for one in counted})
    return {name: sum(one.rows for one in counted if one.license == name) for name in names}


def _sets(staged: StagedModel, chain: Training) -> list[StagedSet]:
    """The rows that the stages of a chain were trained on, where they still lie in the run."""
    run, recipe = staged.run, staged.recipe
    if run is None or recipe is None or recipe.training is None or recipe.training.name != chain.name:
        return []
    folder = stage_sets.folder_of(run, recipe, recipe.training)
    found = []
    for one in chain.stages:
        if not _as_trained(run, chain, one, folder / one.stage):
            return []
        # Of an order with files for each epoch those of the first hold all rows.
        for place in (folder / one.stage, folder / one.stage / "epoch-01"):
            if files := tuple(sorted(place.glob("train-*.parquet"))):
                found.append(StagedSet(one.stage, one.stage, {}, {"train": files}))
    return found


def _as_trained(run: Run, chain: Training, stage: Stage, folder: Path) -> bool:
    """Whether a set's files are those that the stage was trained on, as far as its plan tells; not of captions."""
    places = sorted(folder.glob("epoch-*")) or [folder]
    if not stage.dataset_digest or stage.method == "SFT" or not stage_files.train_files(places):
        return True
    training = run.path / "trainings" / chain.name if chain.name else run.path / "training"
    return stage_files.set_files(stage.stage, places).digest == overlong.made_from(
        training / stage.stage / "data", stage.dataset_digest
    )


@dataclass(frozen=True, slots=True)
class _Results:
    """The values of the results' section, the held-out rows among them, this checkpoint's scores, and comparisons."""

    values: Mapping[str, Any]
    held: Sequence[HeldOut]
    scores: Sequence[Score]
    pairs: Sequence[Pair]


def _results(run: Run | None, chain: Training, start: Base | None) -> _Results:
    published = paper().of(start.hub) if start and start.hub else ()
    measured: dict[str, list[Score]] = {}
    own: list[HeldOut] = []
    scores = results.scores_in(run.path / results.FOLDER) if run and chain.stages else []
    for score in scores:
        measured.setdefault(score.model, []).append(score)
    if run and chain.stages:
        own = chosen(results.held_out(run.path), chain, chain.alone)
    told, pairs = compared.compared(run, chain, scores) if run else ([], [])
    values = {
        "headline": headline.headline(paper(), published, measured),
        "benchmarks": headline.benchmarks(published, measured),
        "compared": told,
        "held_out": headline.held_out(own),
        "paper": link(paper().paper, paper().url),
        "judge": Md(paper().judge),
    }
    return _Results(values, own, compared.own_scores(scores, chain), pairs)


def _trained(chain: Training, staged: StagedModel) -> dict[str, Any]:
    frozen = [Md(f"{code(one.stage)} {code(one.frozen)}") for one in chain.stages if one.frozen]
    ranks = [Md(f"{code(one.stage)} {one.adapters}") for one in chain.stages if one.adapters]
    said = f"Kept as they are (stage, weights): {listed(frozen)}." if frozen else ""
    if ranks:
        said += f" Adapters were trained and added to the weights in place of them all (stage, rank): {listed(ranks)}."
    return {
        "stages": parts.stages(chain),
        "knobs": parts.knobs(chain) or Md(""),
        "vision": Md(said.strip() or "No setting froze a part of it."),
        "digests": parts.digests(chain),
        "command": block("capcurriculum train recipe.yaml", language="sh"),
    }


def _curve(folder: Path, chain: Training) -> list[Path]:
    """The file of the curves of the chain's steps; none where it has none to draw."""
    if not parts.drawn(chain):
        return []
    path = folder / PICTURES / "training.png"
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
        return Md("unknown, because that of what it was trained from is")
    return Md(f"{code(start.license)}, that of {code(start.name)} ({start.evidence})")


def _config(folder: Path) -> Mapping[str, Any]:
    try:
        data = json_file.read(folder / "config.json")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise RunError(f"{folder / 'config.json'} cannot be read ({error}); export the checkpoint again.") from error
    return data if isinstance(data, dict) else {}


def _metadata(staged: StagedModel, start: Base | None, scores: Sequence[Score]) -> str:
    """The YAML, as the Hub's own library writes it and reads it back.

    Raises:
        HubError: it would refuse it.
    """
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
            eval_results=[EvalResult(**one) for one in _measured(scores)] or None,
        )
        text = str(data.to_yaml())
        ModelCard(f"---\n{text}\n---\n")
    except (ValueError, TypeError) as error:
        raise HubError(
            f"The card of {staged.repo_id} cannot be written ({error}); check the names in the recipe."
        ) from error
    return text


def _measured(scores: Sequence[Score]) -> list[dict[str, Any]]:
    """This checkpoint's scores as the Hub's `model-index` has them, a benchmark by the name its engine gives it."""
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
