"""How whole-number keys of options in a recipe's sources are read, with examples, for a dry run."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from string import ascii_uppercase

from capcurriculum.recipe import Recipe
from capcurriculum.recipe.sources import SourceSection
from datagen.sources.datasets import mapped
from datagen.sources.formats.json_lines import LineProblem
from datagen.sources.images.image_paths import Place
from datagen.sources.images.store import Store
from datagen.sources.source import Problem

COLUMNS = ("stage", "source", "keys", "problem", "options", "gold")
_EXAMPLES, _SHOWN = 3, 60


def rows(recipe: Recipe) -> list[tuple[str, ...]]:
    """`COLUMNS` of the first usable rows of every source of problems on disk that maps options.

    Raises:
        SourceError: its keys can be read in several ways, or it cannot be read.
    """
    found: list[tuple[str, ...]] = []
    for stage, section in recipe.stages.items():
        for source in section.all_sources:
            if source.kind == "problems" and source.path and source.columns and source.columns.option_columns:
                found += _rows(stage, source)
    return found


def _rows(stage: str, section: SourceSection) -> Iterator[tuple[str, ...]]:
    name = section.name or Path(section.path).name
    source = mapped.problems(section, Place(Path(section.path), name, Store(Path(section.path))), visual=False)

    def usable() -> Iterator[Problem]:
        for record in source.records():
            try:
                if (problem := source.say(record)).options:
                    yield problem
            except LineProblem:
                continue

    for problem in islice(usable(), _EXAMPLES):
        options = dict(zip(ascii_uppercase, problem.options, strict=False))
        shown = "; ".join(f"{letter}: {text[:_SHOWN]}" for letter, text in options.items())
        gold = f"{problem.answer}: {options.get(problem.answer, '')[:_SHOWN]}"
        yield stage, name, source.convention or "letters or texts", problem.problem[:_SHOWN], shown, gold
