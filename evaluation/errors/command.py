"""Carry out `capcurriculum errors`: have judges vote, give a sample to people, read what they said, and tell it all."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from capcurriculum import consent, locks, recipe
from capcurriculum.errors import RecipeError, ReviewError, RunError
from capcurriculum.recipe.models import ModelSection
from capcurriculum.render.progress import Display
from capcurriculum.render.table import say, show, wide
from capcurriculum.rows import Sampling
from datagen.engines.openai import headers
from evaluation.errors import analysis, asking, report, server, votes
from evaluation.errors.analysis import Judged
from evaluation.errors.asking import Judge
from evaluation.errors.cases import Case, Wrong, drawn, wrong
from evaluation.errors.kinds import meanings
from evaluation.errors.page import read, write
from evaluation.errors.page.read import Imported
from evaluation.results import results
from evaluation.results.labels import Measured, measured
from review.argilla import connection
from review.argilla.push import Wanted
from review.page import signing

_ENDPOINT = re.compile(r"([^@\s]+)@(https?://\S+)")
_TURNS = len(meanings(image=False)) - 1


@dataclass(frozen=True, slots=True)
class Judging:
    """Which judges vote on which wrong answers, as `capcurriculum errors --help` says; no judge means no votes."""

    judges: Sequence[str]
    recipe: Path | None
    allow: bool
    votes: int
    size: int | None
    seed: int
    temperature: float | None
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Checking:
    """How people check a sample of `size` judged answers, as `capcurriculum errors --help` says."""

    size: int
    export: Path | None
    files: Sequence[Path]
    push: bool
    pull: bool
    asked: Wanted


def errors(label: str, results_in: str | None, benchmarks: Sequence[str], judging: Judging, checking: Checking) -> None:
    """Let judges vote on wrong answers, let people check a sample, and print and write what they say.

    Raises:
        CapCurriculumError: with one sentence; votes and people's words so far stay.
    """
    (model,) = measured([label], results_in)
    found = wrong(model.replies())
    if benchmarks:
        found = _only(found, benchmarks)
    if not any(own.cases for own in found.values()):
        raise RunError(f"{model.name} has no wrong answer to judge in {model.folder}; evaluate it first.")
    folder = votes.place(model)
    folder.mkdir(parents=True, exist_ok=True)
    display, console = Display(), wide()
    with locks.alone(folder):
        if judging.judges:
            _judge(judging, model, found, folder, display)
        judged = _judged(folder, found)
        say(_people(checking, judging.seed, model, judged, folder, display), console)
        told = analysis.analyse(folder, found)
        files = report.write(told, model.name, folder)
    show(report.sheets(told), console)
    say([*report.notes(told), *files], console)


def _only(found: Mapping[str, Wrong], names: Sequence[str]) -> dict[str, Wrong]:
    if missing := sorted(set(names) - found.keys()):
        there = ", ".join(sorted(found)) or "none"
        raise RunError(f"There are no replies to {', '.join(missing)}; there are to {there}.")
    return {name: own for name, own in found.items() if name in names}


def _judge(judging: Judging, model: Measured, found: Mapping[str, Wrong], folder: Path, display: Display) -> None:
    """Ask for the votes that are missing; what is asked is written down before, so that a kill changes nothing."""
    judges = [_model(name, judging, model) for name in judging.judges]
    headers.check(judge.model for judge in judges)
    cases = drawn((case for own in found.values() for case in own.cases), judging.size, judging.seed, "judge")
    keys = tuple(case.key for case in cases)
    analysis.save(folder, Judged(judges=tuple(one.name for one in judges), votes=judging.votes, cases=keys,
                                 seed=judging.seed))  # fmt: skip
    for judge in judges:
        if unseen := asking.ask(folder, judge, cases, judging.votes, model.folder, display):
            display.note(f"{len(unseen)} cases cannot be judged, since their pictures are not in {model.folder}")


def _model(name: str, judging: Judging, model: Measured) -> Judge:
    """A model of the recipe, or `MODEL@URL` for an endpoint that speaks OpenAI's protocol."""
    warm = judging.votes > _TURNS
    sampling = Sampling(judging.temperature if judging.temperature is not None else 0.7 if warm else 0.0,
                        max_tokens=judging.max_tokens)  # fmt: skip
    if warm and not sampling.temperature:
        raise RunError(f"More than {_TURNS} votes need a --temperature above 0; the others would be copies.")
    if given := _ENDPOINT.fullmatch(name):
        called, url = given.groups()
        try:
            return Judge(called, ModelSection(engine="openai", model=called, base_urls=(url,)), sampling)
        except ValidationError as error:
            raise RecipeError(f"{called} cannot be asked: {error.errors()[0]['msg']}.") from error
    path = _recipe(judging, model)
    wanted = recipe.load(path) if path else None
    models = wanted.models if wanted else {}
    if wanted is None or name not in models:
        known = ", ".join(sorted(models)) or "none"
        raise RecipeError(f"There is no model {name} in the recipe (it has {known}); name one, or MODEL@URL.")
    consent.check(str(path), consent.of_recipe(wanted), {consent.MODELS}, allow=judging.allow)
    return Judge(name, models[name], sampling)


def _recipe(judging: Judging, model: Measured) -> Path | None:
    """The recipe that is named, else that of the run that the results belong to."""
    if judging.recipe:
        return judging.recipe
    own = model.folder.resolve()
    path = own.parent / "recipe.yaml"
    return path if own.name == results.FOLDER and path.is_file() else None


def _judged(folder: Path, found: Mapping[str, Wrong]) -> list[Case]:
    keys = analysis.load(folder).cases
    there = {case.key: case for own in found.values() for case in own.cases}
    return [there[key] for key in keys if key in there]


def _people(
    checking: Checking, seed: int, model: Measured, judged: Sequence[Case], folder: Path, display: Display
) -> Iterator[str]:
    """Give a sample to people, or read what they said; what happened, in sentences."""
    keys = {case.key for case in judged}
    sample = drawn(judged, checking.size, seed, "check")
    if checking.export:
        who = _annotator(checking, "Whose page is it? Give --annotator NAME: it signs what it saves with that name.")
        write.write(checking.export, model.name, sample, model.folder, who, folder)
        yield f"{len(sample)} answers are in {checking.export}, the page of {who}; open it with any browser."
    if checking.push:
        at = connection.connect()
        there = server.push(at, model.model, sample, model.folder, checking.asked, display)
        yield f"{len(sample)} answers are in the dataset {there.name} on {at.url}."
    for path in checking.files:
        yield from _imported(
            path, read.read(folder, path, keys, _annotator(checking) if checking.asked.annotators else "")
        )
    if checking.pull:
        found = server.pull(connection.connect(), model.model, folder, keys, display)
        yield f"Argilla: {found.new} new answers, {found.known} known, {found.strange} about other cases."


def _annotator(checking: Checking, missing: str = "") -> str:
    """The one person whom a page or a file is of."""
    if len(checking.asked.annotators) != 1:
        raise ReviewError(missing or "A file is one person's; give --annotator once.")
    return signing.person(checking.asked.annotators[0])


def _imported(path: Path, found: Imported) -> list[str]:
    lines = [f"{path}: {found.new} new answers, {found.known} known, {found.strange} about other cases."]
    return lines + [f"  {count} lines were left out: {what}" for what, count in sorted(found.problems.items())]
