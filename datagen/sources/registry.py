"""Which reader reads which kind of source."""

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from capcurriculum.errors import SourceError
from capcurriculum.recipe.sources import SourceSection
from capcurriculum.rows import CaptionedImage, Question, Stage, Verdict
from datagen.sources import captioned, hub, questions
from datagen.sources.datasets import (
    arxivqa,
    clevr_math,
    docci,
    docvqa,
    geo170k,
    gym,
    mapped,
    math_puma,
    orz,
    pixmo,
    vlaa,
)
from datagen.sources.datasets import problems as plain_problems
from datagen.sources.images.image_paths import Place
from datagen.sources.options import answer_keys
from datagen.sources.source import Caption, Problem, Source

Rows = Iterator[CaptionedImage | Question | Verdict]

#: Files that a kind needs of its Hub data set.
PATTERNS: Mapping[str, Callable[[SourceSection], tuple[str, ...]]] = {
    "docci": docci.patterns,
    "pixmo": lambda section: pixmo.FILES[:1],
    "orz": lambda section: section.files or orz.FILES,
    "vlaa": vlaa.patterns,
    "clevr_math": clevr_math.patterns,
    "geo170k": lambda section: (geo170k.FILES[0], geo170k.IMAGES),
    "math_puma": lambda section: (math_puma.FILES[0], f"Synthesis/{math_puma.ARCHIVE}"),
    "arxivqa": lambda section: (arxivqa.FILE, arxivqa.ARCHIVE),
    "docvqa": docvqa.patterns,
}
CAPTIONS: Mapping[str, Callable[[SourceSection, Place], Source[Caption]]] = {
    "docci": docci.source,
    "scenes": docci.source,  # exported in the layout of the release
    "captions": mapped.captions,
    "pixmo": pixmo.source,
}
PROBLEMS: Mapping[str, Callable[[SourceSection, Place], Source[Problem]]] = {
    "orz": orz.source,
    "vlaa": vlaa.source,
    "clevr_math": clevr_math.source,
    "geo170k": geo170k.source,
    "math_puma": math_puma.source,
    "arxivqa": arxivqa.source,
    "docvqa": docvqa.source,
    "reasoning_gym": gym.source,
}


def folder(section: SourceSection) -> Path:
    """Where a source's data lies, fetched from the Hub if it must be.

    A data set that is streamed (`captions` and `problems` with a repo) and a generator have no folder; the path is then
    only a name.

    Raises:
        SourceError: it is not there, or the Hub does not give it.
    """
    if section.kind == "problems" and section.columns is None and Path(section.path).is_file():
        raise SourceError(
            f"The problems source {section.path} is a file; name its columns, for example columns: {{problem: problem, "
            "answer: answer}, or give the folder of a problems.jsonl as path."
        )
    needed = PATTERNS.get(section.kind)
    if needed or section.path:
        return hub.folder(section, needed(section) if needed else ())
    return Path(section.repo or section.kind)


def problems(
    section: SourceSection, place: Place, visual: bool, keys: answer_keys.Reading | None = None
) -> Source[Problem]:
    """How a source of problems is read; each has an image if they are `visual`.

    `keys` says what whole-number keys of options mean, which else takes a pass over all rows.

    Raises:
        SourceError: its files are not there, or its keys can be read in several ways.
    """
    match section:
        case SourceSection(kind="scenes") | SourceSection(kind="problems", columns=None, repo=""):
            return plain_problems.source(section, place, visual)
        case SourceSection(kind="problems"):
            return mapped.problems(section, place, visual, keys)
        case _:
            return PROBLEMS[section.kind](section, place)


def rows(
    section: SourceSection,
    place: Place,
    stage: str,
    kind: Stage,
    known: Collection[str],
    note: Callable[[str], None] = lambda convention: None,
) -> Rows:
    """Rows of a source for a stage of a kind, and verdicts on records that gave none; keys in `known` are skipped.

    `note` is called with how whole-number keys of options are read (`answer_keys.Convention`), if there are any.

    Raises:
        SourceError: the source as a whole cannot be read.
    """
    if section.kind == "pixmo":
        return pixmo.read(section, place, stage, known)
    if kind is Stage.PERCEPTION:
        captions = CAPTIONS[section.kind](section, place)
        return captioned.read(captions.first(section.limit), stage, known, section.limits)
    source = problems(section, place, kind is Stage.VISUAL)
    if source.convention:
        note(source.convention)
    return questions.read(source.first(section.limit), stage, known, section.limits)
