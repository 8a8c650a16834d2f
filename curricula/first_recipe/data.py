"""The user's data: where it lies, what a sample of it gives, and which stages are made of it."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from capcurriculum.errors import RunError, SourceError
from capcurriculum.recipe.sources import KINDS
from capcurriculum.rows import Stage
from datagen.sources.discover import candidates, sample
from datagen.sources.discover.candidates import Candidate, Found
from datagen.sources.discover.sample import Sample

_HUB = re.compile(r"[\w-][\w.-]*/[\w.-]+", re.ASCII)
_COLUMNS = ("image", "caption", "problem", "options", "answer", "id", "skill", "license", "split")
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Read:
    """A source of a recipe with what its first rows gave; `also` are further stages that its rows could feed."""

    candidate: Candidate
    sample: Sample
    also: tuple[Stage, ...] = ()

    def name(self, data: str) -> str:
        """The user's name of the data, with the files that this is of where it is not of all."""
        return _name(self.candidate, data)


@dataclass(frozen=True, slots=True)
class Data:
    """What was found at a path or in a data set of the Hub, and what is said of files that are not taken."""

    read: tuple[Read, ...]
    remarks: tuple[str, ...]

    @property
    def stages(self) -> dict[Stage, list[Read]]:
        """The stages in the order they are taught, with their sources."""
        return {
            stage: found for stage in Stage if (found := [one for one in self.read if one.candidate.stage is stage])
        }


def look(data: str, stage: Stage | None, columns: Sequence[str] = (), answers: str | None = None) -> Data:
    """Find out what can be made of `data`, a path or the id of a data set in the Hub's cache.

    Args:
        data: the path or id.
        stage: make this stage alone; None for whatever the rows can feed.
        columns: KEY=COLUMN as the user knows it better.
        answers: what whole-number keys of options are, as `columns.answers` of a recipe.

    Raises:
        RunError: nothing lies there that a stage could be made of; the sentence says what would do.
        SourceError: it cannot be read, or how its keys are meant is open.
    """
    path, keys = _place(data)
    found = candidates.at(path, _said(columns))
    chosen = _chosen([_updated(one, keys, answers) for one in found.candidates], stage)
    if not chosen:
        raise RunError(_nothing(data, found, stage))
    read, lost = list[Read](), list[str]()
    for candidate, also in chosen:
        try:
            taken = sample.take(candidate)
        except SourceError as error:
            lost.append(_mended(error, candidate))
            continue
        if taken.losses.kept:
            read.append(Read(candidate, taken, also))
        else:
            first = "its one row" if taken.read == 1 else f"none of its first {taken.read:,} rows"
            verb = "cannot be used" if taken.read == 1 else "can be used"
            lost.append(f"Of {_name(candidate, data) if len(chosen) > 1 else data} {first} {verb}: {taken.losses}.")
    if not read:
        raise SourceError(" ".join(lost))
    unseen = found.images and all(one.stage is Stage.TEXT for one in found.candidates)
    unused = [f"{found.images:,} images are not used: nothing says what they show."] if unseen else []
    return Data(tuple(read), (*lost, *_unread(found), *unused))


def _said(columns: Sequence[str]) -> dict[str, str]:
    said = dict(one.partition("=")[::2] for one in columns)
    if odd := [key for key in said if key not in _COLUMNS or not said[key]]:
        raise RunError(f"--column {odd[0]!r} is not KEY=COLUMN with one of the keys {', '.join(_COLUMNS)}.")
    return said


def _place(data: str) -> tuple[Path, dict[str, Any]]:
    """Where the data lies, and the keys that a source of the Hub's cache has besides."""
    path = Path(data)
    if os.path.exists(path):
        return path, {}
    if _HUB.fullmatch(data):
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

        try:
            folder = Path(snapshot_download(data, repo_type="dataset", local_files_only=True))
        except (HFValidationError, LocalEntryNotFoundError) as error:
            raise RunError(
                f"There is no file or folder {data}, and no data set of that name in the Hub's cache; fetch it with "
                f"`hf download --repo-type dataset {data}`."
            ) from error
        return folder, {"source": data, "revision": folder.name}
    raise RunError(f"There is no file or folder {data}; name the folder of your images, or a file of rows.")


def _updated(candidate: Candidate, keys: Mapping[str, Any], answers: str | None) -> Candidate:
    """The candidate with further keys of its source, and what its keys of options are."""
    section = candidate.section
    upstream = keys and KINDS[section.kind].upstream == keys["source"]
    changed = {"revision": keys["revision"]} if upstream else dict(keys)
    if answers and section.columns and section.columns.option_columns:
        changed["columns"] = section.columns.model_copy(update={"answers": answers})
    return replace(candidate, section=section.model_copy(update=changed))


def _chosen(found: Sequence[Candidate], stage: Stage | None) -> list[tuple[Candidate, tuple[Stage, ...]]]:
    """One candidate for each group of files, that of `stage` or the likeliest, with the stages of the others."""
    groups: dict[tuple[str, ...], list[Candidate]] = {}
    for one in found:
        groups.setdefault(one.section.files, []).append(one)
    chosen = []
    for group in groups.values():
        fitting = [one for one in group if stage in (None, one.stage)]
        if fitting:
            chosen.append((fitting[0], tuple(one.stage for one in group if one is not fitting[0])))
    return chosen


def _mended(error: SourceError, candidate: Candidate) -> str:
    columns = candidate.section.columns
    if columns and columns.option_columns and not columns.answers and "answers:" in str(error):
        return f"{error} To `init` say it as --answers."
    return str(error)


def _name(candidate: Candidate, data: str) -> str:
    return f"{data} ({', '.join(candidate.section.files[:3])})" if candidate.section.files else data


def _nothing(data: str, found: Found, stage: Stage | None) -> str:
    """What would make a stage of what lies there."""
    if stage and found.candidates:
        feeds = " and ".join(dict.fromkeys(str(one.stage) for one in found.candidates))
        return f"{data} holds no rows for the {stage} stage but for {feeds}; leave out --stage, or name other data."
    if found.images and found.unread:
        return (
            f"{data} holds {found.images:,} images and no captions that are known. {' '.join(_unread(found))} If one "
            "of these columns describes the images, say it as --column caption=COLUMN, and --column image=COLUMN for "
            "their names."
        )
    if found.images:
        stem = Path(found.first_image).with_suffix(".txt").as_posix()
        return (
            f"{data} holds {found.images:,} images and no captions, and questions are made from captions. Write what "
            f"can be seen in each into a file of its name, such as {stem} beside {Path(found.first_image).name}, or "
            f'all into metadata.jsonl with lines {{"file_name": "{found.first_image}", "caption": "..."}}, '
            "and run this again."
        )
    if found.unread:
        return (
            f"Nothing in {data} can be made a stage of. {' '.join(_unread(found))} A stage needs images and captions, "
            "or problems and answers; say which columns hold them, such as --column problem=TITLE --column answer=KEY."
        )
    return (
        f"{data} holds neither images nor files of rows (JSON, JSON lines, CSV, Parquet); name the folder of your data."
    )


def _unread(found: Found) -> Iterator[str]:
    for one in found.unread[:_SHOWN]:
        more = f" and {one.count - 1:,} like it" if one.count > 1 else ""
        held = f"has the columns {', '.join(one.columns[:12])}" if one.columns else one.problem or "has no rows"
        yield f"{one.name}{more} is not taken: it {held}."
    if left := found.unread[_SHOWN:]:
        yield f"{sum(one.count for one in left):,} further files are not taken."
