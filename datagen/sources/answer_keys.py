"""Which option a source's key names: one convention for the whole source, said by its recipe or read off all its rows.

A letter, a label that the options bring along, and an option's text speak for themselves. A whole number does not: it
may count options from 0 or from 1, or be an option's text. Guessed row by row, whole files come out wrong without a
word; so all rows are looked at first, and a source whose rows leave it open, or contradict each other, is refused.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from string import ascii_uppercase

from capcurriculum.errors import SourceError
from capcurriculum.reasons import Reason
from datagen.sources import choices
from datagen.sources.lines import LineProblem
from datagen.sources.options import Options

_SHOWN = 3
#: Texts that stand for a missing answer.
MISSING = frozenset(["", "none", "null", "nan", "n/a", "<na>"])  # not `na`: that is sodium too


class Convention(StrEnum):
    """What a key is."""

    LETTERS = "letters"
    ZERO_BASED = "zero_based"
    ONE_BASED = "one_based"
    TEXT = "text"


COUNTED = (Convention.ZERO_BASED, Convention.ONE_BASED, Convention.TEXT)


@dataclass(frozen=True, slots=True)
class Seen:
    """A row whose key is a whole number, and what that number can mean there."""

    number: int
    key: int
    texts: tuple[str, ...]
    fits: frozenset[Convention]

    def __str__(self) -> str:
        options = ", ".join(repr(text[:24]) for text in self.texts[:6])
        return f"row {self.number} answers {self.key} of [{options}]"


def infer(rows: Iterable[tuple[int, object, Options]], where: str) -> Convention | None:
    """The convention of the whole-number keys among (row, key, options); None where there are none.

    Raises:
        SourceError: the rows fit several conventions, or none fits them all; the sentence shows rows.
    """
    left, shown = frozenset(COUNTED), list[Seen]()
    for seen in _counted(rows):
        if not shown or not left <= seen.fits:
            shown.append(seen)  # what narrows the choice is what proves it
        left &= seen.fits
        if not left:
            break
    if not shown:
        return None
    if len(left) == 1:
        return next(iter(left))
    rows_shown = "; ".join(map(str, shown[-_SHOWN:]))
    what = " or ".join(sorted(left)) if left else "no one convention"
    raise SourceError(
        f"The answers of {where} are whole numbers, and its rows fit {what} ({rows_shown}); say what they are in the "
        "recipe's columns: answers: zero_based, one_based or text."
    )


def _counted(rows: Iterable[tuple[int, object, Options]]) -> Iterator[Seen]:
    """The rows whose key is a whole number that can mean something."""
    for number, key, options in rows:
        value = whole(key)
        if value is None or len(options.texts) < 2 or options.labelled(str(value)) is not None:
            continue
        fits = {name for name in COUNTED if _place(value, options, name) is not None}
        if fits:
            yield Seen(number, value, options.texts, frozenset(fits))


def whole(key: object) -> int | None:
    """A key that is a whole number, also as text."""
    if isinstance(key, bool):
        return None
    if isinstance(key, float) and key.is_integer():
        return int(key)
    if isinstance(key, str) and key.strip().isascii() and key.strip().isdigit() and len(key.strip()) < 10:
        return int(key)
    return key if isinstance(key, int) else None


def _place(value: int, options: Options, convention: Convention) -> int | None:
    match convention:
        case Convention.ZERO_BASED:
            place = value
        case Convention.ONE_BASED:
            place = value - 1
        case _:
            letter = choices.by_text(str(value), options.texts)
            return ascii_uppercase.index(letter) if letter else None
    return place if 0 <= place < len(options.texts) else None


def letter(key: object, options: Options, convention: Convention | None, row: int) -> str:
    """The letter of the option that a key names.

    Raises:
        LineProblem: there is no key, it names several options or none, or its options are missing.
    """
    if isinstance(key, list | tuple) and len(key) == 1:
        key = key[0]
    if is_missing(key) and not choices.by_text(str(key), options.texts):
        raise LineProblem(Reason.MISSING_FIELD, f"row {row} has no answer")
    if isinstance(key, list | tuple | dict | bool):
        raise LineProblem(Reason.UNGRADABLE_ANSWER, f"row {row} does not answer with one option ({str(key)[:60]})")
    if (place := options.labelled(str(key))) is not None and convention is not Convention.TEXT:
        return ascii_uppercase[place]
    if options.labels and len(str(key).strip()) == 1 and str(key).strip().isalpha():
        raise LineProblem(
            Reason.UNGRADABLE_ANSWER,
            f"row {row} answers {str(key).strip()!r}, and its options are labelled {', '.join(options.labels)}",
        )
    value = whole(key)
    if value is not None and convention in COUNTED:
        place = _place(value, options, convention)
        if place is None:
            detail = f"row {row} answers {value}, and {convention} that is none of its {len(options.texts)} options"
            raise LineProblem(Reason.UNGRADABLE_ANSWER, detail)
        return ascii_uppercase[place]
    read = choices.by_text if convention is Convention.TEXT else choices.letter
    found = read(str(key), options.texts)
    if not found:
        raise LineProblem(Reason.UNGRADABLE_ANSWER, f"row {row} answers {str(key)[:60]!r}, which is no option")
    return found


def is_missing(key: object) -> bool:
    """Whether a value says that there is no answer: null, NaN, or a text such as "N/A"."""
    if key is None or (isinstance(key, float) and key != key):
        return True
    return isinstance(key, str) and key.strip().lower() in MISSING
