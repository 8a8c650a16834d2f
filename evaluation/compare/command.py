"""`capcurriculum compare`: read results, print the tables, and write them with plots to a folder."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from capcurriculum.errors import RunError
from capcurriculum.render.markdown import code, link
from capcurriculum.render.table import say, show, wide
from capcurriculum.tables import write_atomically
from evaluation.compare import charts
from evaluation.compare.comparison import compared
from evaluation.published import Model, paper
from evaluation.results.comparison_tables import chosen, intervals, sheets, too_few
from evaluation.results.comparisons import FILE, FOLDER, Comparison
from evaluation.results.labels import Measured, measured

MARKDOWN = "comparison.md"
NONE = "none"


def compare(labels: Sequence[str], results: str | None, base: str | None, out: Path | None) -> None:
    """Compare models with the first of them; print the tables, and write them with plots.

    `base` is a base model of the paper whose published numbers are shown, "none" for no published numbers.

    Raises:
        CapCurriculumError: the models cannot be compared; an earlier comparison is kept.
    """
    models = measured(labels, results)
    found = compared(models)
    published = _published(base, found)
    console = wide()
    show(sheets(found, paper(), published), console)
    say(notes(found, published), console)
    say(write(found, published, out or _folder(models)), console)


def _published(base: str | None, found: Comparison) -> tuple[Model, ...]:
    if base == NONE:
        return ()
    if base is None:
        return chosen(found, paper())
    models = paper().of(base)
    if not models:
        known = ", ".join(dict.fromkeys(one.base for one in paper().models))
        raise RunError(f"Nothing published is from {base}; give --published one of {known}, or {NONE}.")
    return models


def _folder(models: Sequence[Measured]) -> Path:
    """A folder named after all models, below the results of the second."""
    name = "-vs-".join(re.sub(r"[^A-Za-z0-9.-]+", "_", one.name).strip("._")[:40] or "model" for one in models)
    return models[1].folder / FOLDER / name


def write(found: Comparison, published: Sequence[Model], folder: Path) -> list[Path]:
    """Write the comparison as JSON and Markdown, and its plots; returns the files.

    Raises:
        RunError: the folder cannot be written, or matplotlib is missing.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files = charts.draw(found, folder)
        text = markdown(found, published, [path for path in files if path.suffix == ".svg"])
        write_atomically(folder / MARKDOWN, text.encode())
        write_atomically(folder / FILE, (found.model_dump_json(indent=1) + "\n").encode())
    except OSError as error:
        raise RunError(
            f"The comparison cannot be written to {folder} ({error.strerror}); give another --out."
        ) from error
    return [folder / FILE, folder / MARKDOWN, *files]


def markdown(found: Comparison, published: Sequence[Model], plots: Sequence[Path]) -> str:
    """The tables, the plots and the notes as Markdown."""
    names = ", ".join(code(one.name) for one in found.models)
    parts = [f"# Comparison\n\nOf {names}."]
    parts += [f"## {sheet.title}\n\n{sheet.markdown()}" for sheet in sheets(found, paper(), published)]
    parts += [f"![{_ALT[path.stem]}]({path.name})" for path in plots]
    parts += ["\n".join(f"- {line}" for line in notes(found, published))]
    if published:
        parts.append(f"Published numbers are those of {link(paper().paper, paper().url)}.")
    return "\n\n".join(parts) + "\n"


_ALT = {
    charts.GAINS: "Gain in accuracy by benchmark, with 95 % intervals",
    charts.LENGTHS: "Accuracy against the longest reply that counts",
}


def notes(found: Comparison, published: Sequence[Model]) -> Iterator[str]:
    """Sentences that explain the numbers."""
    lines = [line for pair in found.pairs for line in pair.lines]
    yield (
        "Gains are over the samples whose outcome is known for both models; a reply without an answer is not right, "
        "and one that failed or that no judge saw is unknown and left out."
    )
    yield (
        f"Intervals are {intervals(found.draws)}. They are not adjusted for how many there are; p is McNemar's exact "
        "test, and p (Holm) is adjusted for the benchmarks of its pair."
    )
    for pair in found.pairs:
        if few := too_few(pair):
            named = ", ".join(f"{code(name)} ({count})" for name, count in few)
            yield f"Too few samples to tell a gain of {code(pair.after)} from a loss: {named}."
    if unknown := sum(line.unknown for line in lines):
        yield f'{unknown:,} samples are unknown; "if unknown" says what they could make of the gain.'
    if unfinished := sorted({line.benchmark for line in lines if not line.finished}):
        yield f"Not finished for every model, so in no average: {', '.join(map(code, unfinished))}."
    if any(one.metric not in ("", "accuracy") for one in found.standings):
        yield "Scores with a name in brackets are the engine's own; gains are of right replies all the same."
    if published:
        yield (
            f"Published numbers were judged by {paper().judge} and were not measured by us; how they were measured may "
            "differ from ours, and they are in no average of measured ones."
        )
        tokens = paper().reply_tokens
        yield (
            f"Published mean reply tokens of models from {tokens.base}, read off a figure: {tokens.merged} merged, "
            f"{tokens.staged} staged, a ratio of {tokens.staged / tokens.merged:.3f}."
        )
