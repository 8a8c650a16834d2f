"""Which reader reads which kind of source."""

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from capcurriculum.reasons import Reason
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
    problems,
    vlaa,
)
from datagen.sources.formats.record import Record
from datagen.sources.images.image_paths import Place
from datagen.sources.questions import ProblemSource

Rows = Iterator[CaptionedImage | Question | Verdict]
#: Why a row does not count towards a `limit`.
UNSELECTED = (Reason.UNSELECTED_SPLIT, Reason.UNSELECTED_PART)

#: Files that a kind needs of its Hub data set.
PATTERNS: Mapping[str, Callable[[SourceSection], tuple[str, ...]]] = {
    "docci": docci.patterns,
    "pixmo": pixmo.patterns,
    "orz": lambda section: section.files or orz.FILES,
    "vlaa": vlaa.patterns,
    "clevr_math": clevr_math.patterns,
    "geo170k": geo170k.patterns,
    "math_puma": math_puma.patterns,
    "arxivqa": arxivqa.patterns,
    "docvqa": docvqa.patterns,
}
PROBLEMS: Mapping[str, Callable[[SourceSection, Place], ProblemSource]] = {
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
    if section.kind in PATTERNS:
        return hub.folder(section, PATTERNS[section.kind](section))
    return hub.folder(section, ()) if section.path else Path(section.repo or section.kind)


def rows(
    section: SourceSection,
    place: Place,
    stage: str,
    kind: Stage,
    known: Collection[str],
    note: Callable[[str], None] = lambda convention: None,
) -> Rows:
    """Rows of a source for a stage of a kind, and verdicts on lines that gave none; keys in `known` are skipped.

    `note` is told how whole-number keys of choices are read (`answer_keys.Convention`), where the source has any.

    Raises:
        SourceError: the source as a whole cannot be read.
    """
    visual = kind is Stage.VISUAL
    plain = section.kind == "scenes" or (section.kind == "problems" and section.columns is None and section.path)
    if plain and kind is not Stage.PERCEPTION:
        return _prefixed(problems.read_problems(section, place.folder, stage, visual, known), place.prefix)
    if section.kind == "scenes" or (section.kind == "docci" and docci.is_release(place.folder)):
        return _prefixed(docci.read_docci(section, place.folder, stage, known), place.prefix)
    match section.kind:
        case "docci":
            return captioned.read(_first(docci.source(section, place), section), stage, known)
        case "captions":
            return captioned.read(_first(mapped.captions(section, place), section), stage, known)
        case "pixmo":
            return pixmo.read(section, place, stage, known)
        case "problems":
            source = mapped.problems(section, place, visual)
            if source.convention:
                note(source.convention)
            return questions.read(_first(source, section), stage, known)
        case name:
            return questions.read(_first(PROBLEMS[name](section, place), section), stage, known)


Source = TypeVar("Source", captioned.CaptionSource, ProblemSource)


def _first(source: Source, section: SourceSection) -> Source:
    """The source with its first `limit` records only; those of splits and parts not selected do not count."""
    if isinstance(source, ProblemSource):
        source = dataclasses.replace(source, longest=section.limits.problem)
    if section.limit is None:
        return source
    limit, records = section.limit, source.records

    def limited() -> Iterator[Record]:
        taken = 0
        for record in records():
            if record.problem is None or record.problem.reason not in UNSELECTED:
                if taken == limit:
                    return
                taken += 1
            yield record

    return dataclasses.replace(source, records=limited)


def _prefixed(items: Rows, prefix: str) -> Rows:
    """The same rows, their image paths as the stage's base folder has them."""
    for item in items:
        if prefix and not isinstance(item, Verdict) and item.image_path:
            yield dataclasses.replace(item, image_path=prefix + item.image_path)
        else:
            yield item
