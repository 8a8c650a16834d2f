"""Which columns of a data set hold image, caption, problem, options and answer, by their names and their first rows.

A name alone decides nothing: a column is taken for what it is called only where most rows hold such a value, read as
the sources of a build read it.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath
from types import MappingProxyType

from capcurriculum.recipe.sources import Columns, GoldRule
from capcurriculum.rows import Stage
from datagen.sources.formats import beside_images
from datagen.sources.formats.json_lines import LineProblem
from datagen.sources.formats.record import Record
from datagen.sources.images.embedded import is_embedded
from datagen.sources.options import options

#: Names of columns in small letters, the likeliest first; a dot reaches into nested ones and, by place, into lists.
IMAGE = (
    "image", "images", "img", "picture", "photo", "jpg", "png", "file_name", "image_file", "image_path", "image_name",
    "img_path", "imgname", "filename", "file", "path", "decoded_image", "image_url", "url",
)  # fmt: skip
CAPTION = (
    "caption", "txt", "captions", "description", "image_caption", "image_description", "long_caption",
    "detailed_caption", "recaption", "sentences", "alt_text", "json", "json.caption", "json.captions",
    "json.description", "json.text", "text",
)  # fmt: skip
PROBLEM = (
    "problem", "question", "query", "prompt", "instruction", "question_text", "problem_text", "prompt.0.content",
    "conversations.0.value", "conversation.0.value", "messages.0.content", "input",
)  # fmt: skip
ANSWER = (
    "answer", "gold", "gt", "ground_truth", "gold_answer", "final_answer", "correct_answer", "correct_option",
    "correct_choice", "answer_key", "answerkey", "answer_idx", "correct", "cop", "answers", "label", "target",
    "reward_model.ground_truth", "solution", "output", "response", "conversations.1.value", "messages.1.content",
)  # fmt: skip
OPTIONS = ("options", "choices", "option", "answer_choices", "candidates", "multiple_choices")
SKILL = ("skill", "skills", "subject", "category")
LICENSE = ("license", "licence")
ID = ("id", "example_id", "uid", "unique_id", "question_id")
_NUMBERED = re.compile(r"(|op|options?_?|choices?_?|opt_?)([a-z]|\d)", re.IGNORECASE)
_MARK = "####"
_LONGEST_NAME = 400


@dataclass(frozen=True, slots=True)
class Guess:
    """The columns of a recipe for some files, those that are in none of its keys, and what can be made of the rows."""

    columns: Columns
    others: tuple[str, ...]
    stages: tuple[Stage, ...]


def guess(rows: Sequence[Record], metadata: bool = False, said: Mapping[str, str] = MappingProxyType({})) -> Guess:
    """What the columns of rows are; `metadata` of an imagefolder name their image in `file_name`.

    `said` is the user's word: key of `Columns` -> column, in files that have it.
    """
    there = list(dict.fromkeys(name for row in rows for name in row.values))
    by_name = {name.lower(): name for name in reversed(there)}
    find = _Finder(rows, by_name, {key: name for key, name in said.items() if name.split(".")[0] in there})
    image = find("image", IMAGE, _holds_image)
    if metadata and image == by_name.get("file_name"):
        image = "image"
    choices = _said_options(said, there) or _options(rows, by_name)
    problem, answer = find("problem", PROBLEM, _holds_text), find("answer", ANSWER, _holds_answer)
    caption = find("caption", (*CAPTION, *(f"{name}.0" for name in CAPTION)), _holds_text)
    is_text = "caption" not in said and caption == by_name.get("text")
    if not problem and is_text and answer and (not image or _asks(rows, caption)):
        problem, caption = caption, ""
    stages = _stages(image, caption, problem, answer)
    split = find("split", ("split",), _holds_text)
    found = Columns(
        image=image,
        caption=caption,
        problem=problem,
        answer=answer,
        options=choices,
        gold=GoldRule(after=_MARK) if answer and _worked(rows, answer) else GoldRule(),
        skill=find("skill", SKILL, _holds_text, 1.0),
        split=split,
        license=find("license", LICENSE, _holds_text, 1.0),
        id=find("id", ID, _holds_text, 1.0),
    )
    named = (image, caption, problem, answer, split, found.skill, found.license, found.id, *found.option_columns)
    taken = {name.split(".")[0] for name in named} | ({by_name.get("file_name", "")} if image == "image" else set())
    return Guess(found, tuple(name for name in there if name not in taken), stages)


def _stages(image: str, caption: str, problem: str, answer: str) -> tuple[Stage, ...]:
    """The stages that rows can feed, the likeliest first."""
    found = []
    if problem and answer:
        found.append(Stage.VISUAL if image else Stage.TEXT)
    if image and caption:
        found.append(Stage.PERCEPTION)
    return tuple(found)


class _Finder:
    """Finds the column that holds something, by its names and by the values in most rows."""

    def __init__(self, rows: Sequence[Record], by_name: Mapping[str, str], said: Mapping[str, str]) -> None:
        self._rows, self._by_name, self._said = rows, by_name, said

    def __call__(self, key: str, names: Sequence[str], holds: Callable[[Record, str], bool], share: float = 0.5) -> str:
        if key in self._said:
            return self._said[key]
        for name in names:
            column = self._there(name)
            told = [holds(row, column) for row in self._rows] if column else []
            if told and sum(told) >= max(1.0, share * len(told)):
                return column
        return ""

    def _there(self, name: str) -> str:
        """The column called so, "" for none; the first part of a dotted name is a column."""
        first, dot, rest = name.partition(".")
        column = self._by_name.get(first, "")
        return f"{column}{dot}{rest}" if column else ""


def _holds_text(row: Record, column: str) -> bool:
    try:
        return bool(row.text(column).strip())
    except LineProblem:
        return False


def _holds_answer(row: Record, column: str) -> bool:
    return isinstance(row.get(column), bool) or _holds_text(row, column)


def _holds_image(row: Record, column: str) -> bool:
    return _is_image(row.get(column))


def _is_image(value: object) -> bool:
    match value:
        case [single, *_]:
            return _is_image(single)
        case {"bytes": bytes() | str()} | bytes():
            return True
        case {"path": str() as name} | {"url": str() as name} | (str() as name):
            return is_embedded(name) or named_image(name)
        case _:
            return False


def named_image(name: str) -> bool:
    """Whether a text is the name of an image file."""
    short = len(name) <= _LONGEST_NAME and "\n" not in name
    return short and PurePosixPath(name.partition("?")[0].replace("\\", "/")).suffix.lower() in beside_images.IMAGES


def _said_options(said: Mapping[str, str], there: Sequence[str]) -> str | tuple[str, ...]:
    """What the user says of options: a column, or one for each with commas between them."""
    names = tuple(filter(None, (name.strip() for name in said.get("options", "").split(","))))
    if not names or any(name.split(".")[0] not in there for name in names):
        return ""
    return names[0] if len(names) == 1 else names


def _options(rows: Sequence[Record], by_name: Mapping[str, str]) -> str | tuple[str, ...]:
    """The column of the options, or the columns that hold one each."""
    for name in filter(by_name.__contains__, OPTIONS):
        column = by_name[name]
        if any(_read_options(row, column) for row in rows):
            return column
    runs: dict[str, list[tuple[int, str]]] = {}
    for column in by_name.values():
        if found := _NUMBERED.fullmatch(column):
            bare = found[1] == ""
            if not bare or found[2].isupper():  # not the sides a, b, c of a triangle
                runs.setdefault(found[1].lower(), []).append((ord(found[2].lower()), column))
    for run in runs.values():
        signs, names = zip(*sorted(run), strict=True)
        if len(run) > 1 and chr(signs[0]) in "a01" and all(after - one == 1 for one, after in pairwise(signs)):
            return names
    return ""


def _read_options(row: Record, column: str) -> bool:
    try:
        return len(options.read(row.get(column), row.number, column).texts) > 1
    except LineProblem:
        return False


def _texts(rows: Sequence[Record], column: str) -> Iterator[str]:
    return (row.text(column) for row in rows if _holds_text(row, column))


def _asks(rows: Sequence[Record], column: str) -> bool:
    """Whether most texts are questions."""
    found = [text.rstrip().endswith("?") for text in _texts(rows, column)]
    return 2 * sum(found) >= len(found) > 0


def _worked(rows: Sequence[Record], column: str) -> bool:
    """Whether most answers are worked solutions with a final answer behind GSM8K's mark."""
    found = [_MARK in text for text in _texts(rows, column)]
    return 2 * sum(found) > len(found)
