"""`capcurriculum errors`: collect votes of judges, have people check a sample, and report the result."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from capcurriculum import consent, locks, recipe
from capcurriculum.did_you_mean import meant
from capcurriculum.errors import RecipeError, ReviewError, RunError
from capcurriculum.recipe.models import ModelSection
from capcurriculum.render.progress import Display
from capcurriculum.render.table import say, show, wide
from capcurriculum.rows import Sampling
from capcurriculum.validation import faults
from datagen.engines.openai import headers
from evaluation.errors import analysis, asking, report, server, votes
from evaluation.errors.analysis import Judged
from evaluation.errors.asking import Judge
from evaluation.errors.cases import Case, Wrong, drawn, wrong
from evaluation.errors.kinds import meanings
from evaluation.errors.page import read, write
from evaluation.results import results
from evaluation.results.labels import Measured, measured
from review.argilla import connection
from review.argilla.push import Wanted
from review.page import signing

if TYPE_CHECKING:
    from capcurriculum.cli.errors_options import Checking, Judging

_ENDPOINT = re.compile(r"([^@\s]+)@(https?://\S+)")
#: Votes in different orders of the kinds; more of a greedy judge repeat these.
_ROTATIONS = len(meanings(image=False)) - 1


def errors(
    label: str, results_in: str | None, benchmarks: Sequence[str], judging: "Judging", checking: "Checking"
) -> None:
    """Collect votes and people's answers on the wrong replies of a model; print and write the analysis.

    Raises:
        CapCurriculumError: a judge, a file or the server cannot be used; votes and answers so far are kept.
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
        if judging.judge:
            _judge(judging, model, found, folder, display)
        judged = analysis.judged_cases(analysis.load(folder), found)
        say(_people(checking, judging.seed, model, judged, folder, display), console)
        analysed = analysis.analyse(folder, found)
        files = report.write(analysed, model.name, folder)
    show(report.sheets(analysed), console)
    say([*report.notes(analysed), *files], console)


def _only(found: Mapping[str, Wrong], names: Sequence[str]) -> dict[str, Wrong]:
    if missing := sorted(set(names) - found.keys()):
        known = ", ".join(sorted(found)) or "none"
        raise RunError(f"There are no replies to {', '.join(missing)}; there are to {known}.")
    return {name: own for name, own in found.items() if name in names}


def _judge(judging: "Judging", model: Measured, found: Mapping[str, Wrong], folder: Path, display: Display) -> None:
    """Ask for the missing votes; what is asked is saved first, so that a killed command can be resumed."""
    judges = [_model(name, judging, model) for name in judging.judge]
    headers.check(judge.model for judge in judges)
    cases = drawn((case for own in found.values() for case in own.cases), judging.size, judging.seed, "judge")
    keys = tuple(case.key for case in cases)
    analysis.save(folder, Judged(judges=tuple(one.name for one in judges), votes=judging.votes, cases=keys,
                                 seed=judging.seed))  # fmt: skip
    for judge in judges:
        if unseen := asking.ask(folder, judge, cases, judging.votes, model.folder, display):
            display.note(f"{len(unseen)} cases cannot be judged, since their images are not in {model.folder}")


def _model(name: str, judging: "Judging", model: Measured) -> Judge:
    """A model of the recipe, or of an OpenAI-compatible endpoint for `MODEL@URL`."""
    many = judging.votes > _ROTATIONS
    default = 0.7 if many else 0.0
    temperature = default if judging.temperature is None else judging.temperature
    sampling = Sampling(temperature, max_tokens=judging.max_tokens)
    if many and not temperature:
        raise RunError(f"More than {_ROTATIONS} votes need a --temperature above 0; the others would be copies.")
    if given := _ENDPOINT.fullmatch(name):
        called, url = given.groups()
        about = {"engine": "openai", "model": called, "base_urls": [url]}
        try:
            return Judge(called, ModelSection.model_validate(about), sampling)
        except ValidationError as error:
            raise RecipeError(f"{called} cannot be asked: {faults(error, ModelSection, about)}.") from error
    path = _recipe(judging, model)
    wanted = recipe.load(path) if path else None
    models = wanted.models if wanted else {}
    if wanted is None or name not in models:
        known = ", ".join(sorted(models)) or "none"
        raise RecipeError(
            f"There is no model {name} in the recipe{meant(name, models)}; it has {known}. Name one, or MODEL@URL."
        )
    consent.check(str(path), consent.of_recipe(wanted), {consent.MODELS}, allow=judging.allow)
    return Judge(name, models[name], sampling)


def _recipe(judging: "Judging", model: Measured) -> Path | None:
    """The recipe that is named, else that of the run of these results."""
    if judging.recipe:
        return judging.recipe
    folder = model.folder.resolve()
    path = folder.parent / "recipe.yaml"
    return path if folder.name == results.FOLDER and path.is_file() else None


def _people(
    checking: "Checking", seed: int, model: Measured, judged: Sequence[Case], folder: Path, display: Display
) -> Iterator[str]:
    """Export or push a sample, and read answers; yields sentences on what was done."""
    keys = {case.key for case in judged}
    sample = drawn(judged, checking.check_size, seed, "check")
    if checking.export:
        who = _annotator(checking, "Whose page is it? Give --annotator NAME: it signs what it saves with that name.")
        write.write(checking.export, model.name, sample, model.folder, who, folder)
        yield f"{len(sample)} answers are in {checking.export}, the page of {who}; open it with any browser."
    if checking.push:
        server_at = connection.connect()
        options = Wanted(checking.overlap, checking.create_workspace, checking.annotator)
        dataset = server.push(server_at, model.model, sample, model.folder, options, display)
        yield f"{len(sample)} answers are in the dataset {dataset.name} on {server_at.url}."
    for path in checking.check:
        found = read.read(folder, path, keys, _annotator(checking) if checking.annotator else "")
        yield f"{path}: {found}"
        yield from (f"  {count} lines were left out: {what}" for what, count in sorted(found.problems.items()))
    if checking.pull:
        yield f"Argilla: {server.pull(connection.connect(), model.model, folder, keys, display)}"


def _annotator(checking: "Checking", missing: str = "A file is one person's; give --annotator once.") -> str:
    """The one person of a page or a file."""
    if len(checking.annotator) != 1:
        raise ReviewError(missing)
    return signing.person(checking.annotator[0])
