"""From the files at a path to sections of a recipe that could read them; nothing but first rows is read."""

import glob
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType

from capcurriculum.errors import SourceError
from capcurriculum.recipe.sources import Columns, SourceSection
from capcurriculum.rows import Stage
from datagen.sources.datasets import docci, orz, vlaa
from datagen.sources.discover import columns, image_place
from datagen.sources.discover.columns import Guess
from datagen.sources.formats import archives, beside_images, image_folder
from datagen.sources.formats.record import Keys, Reading, Record
from datagen.sources.formats.records import READERS, find_files, read_files

#: Rows of a file whose columns are looked at, and files of one kind that are.
_FIRST_ROWS, _FIRST_FILES = 50, 3
#: Conversations that are looked at for their ground truth.
_CONVERSATIONS = 20
#: Files of releases that have a reader of their own.
_RELEASES = {docci.DESCRIPTIONS: ("docci", Stage.PERCEPTION), vlaa.FILE: ("vlaa", Stage.VISUAL)}
_TRAIN = "train"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A section of a recipe, in what form its data lies there, and the columns that it leaves."""

    stage: Stage
    section: SourceSection
    form: str
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unread:
    """Files of rows of which nothing can be made: the first one's name, how many, their columns, and what is wrong."""

    name: str
    count: int
    columns: tuple[str, ...]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What lies at a path: the sections that could read it, files of rows that none of them reads, and images."""

    candidates: tuple[Candidate, ...]
    unread: tuple[Unread, ...] = ()
    images: int = 0
    first_image: str = ""


@dataclass(frozen=True, slots=True)
class _Files:
    """Files of rows with the same columns."""

    files: tuple[Path, ...]
    guess: Guess
    rows: tuple[Record, ...]


def at(path: Path, said: Mapping[str, str] = MappingProxyType({})) -> Found:
    """What lies at a path; `said` are columns as the user names them, see `columns.guess`.

    Raises:
        SourceError: it is a file of a format that is not read, or all of its files are damaged.
    """
    if path.is_dir():
        return _folder(path, said)
    if archives.is_archive(path):
        raise SourceError(f"{path} is an archive; unpack it into a folder and name that.")
    if path.suffix.lower() in beside_images.IMAGES:
        raise SourceError(f"{path} is an image; name the folder that it lies in.")
    if path.suffix.lower() not in READERS:
        raise SourceError(f"{path} has an unknown format; files of rows end in {', '.join(READERS)}.")
    if release := _release(path, path.parent):
        return Found(release)
    return _of_groups(path, _grouped([path], path.parent, said), frozenset([path]))


def _folder(path: Path, said: Mapping[str, str]) -> Found:
    for name in _RELEASES:
        if (path / name).is_file() and (release := _release(path / name, path)):
            return Found(release)
    there = _found(path, ["**/*"])
    files = _outside_runs(there)
    images = [file for file in files if file.suffix.lower() in beside_images.IMAGES]
    texts = {text for image in images for text in beside_images.beside(image)}
    tables = [file for file in files if file.suffix.lower() in READERS and file not in texts]
    read_by_default = frozenset(file for file in there if file.suffix in READERS)
    found = _of_groups(path, _grouped(tables, path, said), read_by_default)
    if texts and all(one.stage is Stage.TEXT for one in found.candidates):
        found = replace(found, candidates=(*_beside(path, images, said), *found.candidates))
    first = images[0].relative_to(path).as_posix() if images else ""
    return replace(found, images=len(images), first_image=first)


def _of_groups(path: Path, groups: Sequence[_Files], read_by_default: frozenset[Path]) -> Found:
    """What can be made of files of rows, and of which nothing can; a source that names no files has those."""
    base, unread = (path if path.is_dir() else path.parent), list[Unread]()
    for one in groups:
        if not _stages(one):
            broken = next((str(row.problem) for row in one.rows if row.problem), "")
            name = one.files[0].relative_to(base).as_posix()
            unread.append(Unread(name, len(one.files), _names_of_columns(one.rows), broken))
    return Found(tuple(chain(*(_tables(path, one, read_by_default) for one in groups))), tuple(unread))


def _names_of_columns(rows: Iterable[Record]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for row in rows for name in row.values))


def _stages(group: _Files) -> tuple[Stage, ...]:
    return (Stage.TEXT,) if _is_conversations(group.rows) else group.guess.stages


def _found(path: Path, patterns: Sequence[str]) -> list[Path]:
    """The files below a folder, none where there are none."""
    try:
        return find_files(path, patterns, "")
    except SourceError:
        return []


def _outside_runs(files: Sequence[Path]) -> list[Path]:
    """Those of the files that no run of ours holds: its tables are rows too, and made of these."""
    runs = {file.parent for file in files if file.name == "run.json" and (file.parent / "recipe.yaml").is_file()}
    return [file for file in files if not runs.intersection(file.parents)] if runs else list(files)


def _release(file: Path, path: Path) -> tuple[Candidate, ...]:
    """The section of a release that has a reader of its own."""
    if file.name not in _RELEASES:
        return ()
    kind, stage = _RELEASES[file.name]
    keys: dict[str, object] = {"path": str(path)}
    if kind == "vlaa":
        folder = path / "images"
        there = {part for part in vlaa.DEFAULT_PARTS for name in (part, f"{part}.tar.gz") if (folder / name).exists()}
        keys["parts"] = {part: count for part, count in vlaa.DEFAULT_PARTS.items() if part in there}
        if not there:
            return ()
    section = SourceSection.model_validate({"kind": kind, **keys})
    return (Candidate(stage, section, f"the release of {kind}"),)


def _beside(path: Path, images: Sequence[Path], said: Mapping[str, str]) -> tuple[Candidate, ...]:
    """Images with files of text beside them."""
    captioned = [image for image in images if beside_images.beside(image)]
    rows = list(islice(read_files(captioned, Reading(Keys(""))), _FIRST_ROWS))
    guess = columns.guess([row for row in rows if row.problem is None], said=said)
    if Stage.PERCEPTION not in guess.stages and Stage.VISUAL not in guess.stages:
        return ()
    form = f"images with a .{(guess.columns.caption or guess.columns.problem).split('.')[0]} beside each"
    files = {"files": _patterns(images, path)}
    return tuple(_candidate(stage, {"path": str(path), **files}, guess, form) for stage in guess.stages)


def _grouped(files: Sequence[Path], base: Path, said: Mapping[str, str]) -> list[_Files]:
    """Files by what their columns are; those that differ in the numbers of their names alone are looked at once.

    Raises:
        SourceError: none of them can be read.
    """
    alike: dict[tuple[Path, str], list[Path]] = {}
    for file in files:
        alike.setdefault((file.parent, re.sub(r"\d+", "#", file.name)), []).append(file)
    groups: dict[str, _Files] = {}
    faults: list[SourceError] = []
    for bunch in alike.values():
        try:
            rows = tuple(islice(_rows(bunch[:_FIRST_FILES], base), _FIRST_ROWS))
        except SourceError as error:
            faults.append(error)
            continue
        guess = columns.guess([row for row in rows if row.problem is None], bunch[0].stem == "metadata", said)
        name = guess.columns.model_dump_json(exclude={"split"})
        group = groups.setdefault(name, _Files((), guess, rows))
        groups[name] = replace(group, files=(*group.files, *bunch))
    if faults and not groups:
        raise faults[0]
    return list(groups.values())


def _rows(files: Sequence[Path], base: Path) -> Iterator[Record]:
    """The rows of files, each with the folder that its file lies in."""
    for file in files:
        folder = file.parent.relative_to(base).as_posix()
        for row in read_files([file], Reading(Keys(""))):
            yield replace(row, folder="" if folder == "." else folder)


def _tables(path: Path, group: _Files, read_by_default: frozenset[Path]) -> tuple[Candidate, ...]:
    """The sections that could read files of rows."""
    base = path if path.is_dir() else path.parent
    keys: dict[str, object] = {"path": str(path)}
    kinds = "/".join(sorted({file.suffix.lower()[1:] for file in group.files}))
    if _is_conversations(group.rows):
        section = {**keys, "kind": "orz", "source": path.stem} | (
            {} if path.is_file() else {"files": _patterns(group.files, base)}
        )
        return (Candidate(Stage.TEXT, SourceSection.model_validate(section), "conversations in ORZ's layout"),)
    if path.is_dir() and read_by_default != set(group.files):
        keys["files"] = _patterns(group.files, base)
    by_name = {image_folder.split_of(file, base, ()) for file in group.files} if path.is_dir() else set()
    by_column = {str(row.get(group.guess.columns.split)) for row in group.rows if group.guess.columns.split}
    if _TRAIN in by_column or (not by_column and _TRAIN in by_name and len(by_name) > 1):
        keys["splits"] = [_TRAIN]
    if group.guess.columns.image and (images := image_place.below(base, group.rows, group.guess.columns.image)):
        keys["images"] = images
    metadata = group.guess.columns.image == "image" and all(file.stem == "metadata" for file in group.files)
    form = "an imagefolder" if metadata else f"{len(group.files)} file{'s' * (len(group.files) > 1)} of rows ({kinds})"
    return tuple(_candidate(stage, keys, group.guess, form) for stage in group.guess.stages)


def _candidate(stage: Stage, keys: Mapping[str, object], guess: Guess, form: str) -> Candidate:
    """A section with the columns that its stage reads."""
    read = {Stage.PERCEPTION: {"image", "caption", "id"}, Stage.TEXT: set[str](), Stage.VISUAL: {"image"}}[stage]
    read |= {"license"} | ({"split"} if keys.get("splits") else set())
    read |= set() if stage is Stage.PERCEPTION else {"problem", "answer", "options", "skill", "gold"}
    made = Columns.model_validate(guess.columns.model_dump(include=read))
    kind = "captions" if stage is Stage.PERCEPTION else "problems"
    section = SourceSection.model_validate({**keys, "kind": kind, "columns": made})
    return Candidate(stage, section, form, guess.others)


def _is_conversations(rows: Sequence[Record]) -> bool:
    """Whether rows are conversations of a problem and a turn with its ground truth."""
    first = [row for row in rows if row.problem is None][:_CONVERSATIONS]
    return bool(first) and all(set(row.values) == {"conversation"} and orz.said(row) for row in first)


def _patterns(files: Sequence[Path], base: Path) -> list[str]:
    """Patterns that match these files and no other: one for all of an ending where it holds, else their names."""
    wanted = set(files)
    endings = sorted({file.suffix for file in files})
    parents = sorted({file.parent.relative_to(base).as_posix() for file in files})
    for patterns in (
        [f"**/*{ending}" for ending in endings],
        [f"{'' if parent == '.' else glob.escape(parent) + '/'}*{ending}" for parent in parents for ending in endings],
    ):
        if set(_found(base, patterns)) == wanted:
            return patterns
    return [glob.escape(file.relative_to(base).as_posix()) for file in sorted(files)]
