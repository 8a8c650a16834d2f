"""Which option a source's key names: one convention for the whole source, said by its recipe or read off all its rows.

A letter, a label that the options bring along, and an option's text speak for themselves. A whole number does not: it
may count options from 0 or from 1, or be an option's text. Guessed row by row, whole files come out wrong without a
word; so all rows are looked at first, and a source whose rows leave it open, or contradict each other, is refused.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from string import ascii_uppercase

from capcurriculum.errors import SourceError
from capcurriculum.reasons import Reason
from datagen.sources import choices
from datagen.sources.lines import LineProblem
from datagen.sources.options import Options

_SHOWN = 3
#: Texts that stand for a missing answer.
#: The last two are NuminaMath's. Not `na`, which is sodium too.
MISSING = frozenset(["", "none", "null", "nan", "n/a", "<na>", "notfound", "proof"])


class Convention(StrEnum):
    """What a key is."""

    LETTERS = "letters"
    ZERO_BASED = "zero_based"
    ONE_BASED = "one_based"
    TEXT = "text"


COUNTED = (Convention.ZERO_BASED, Convention.ONE_BASED, Convention.TEXT)


@dataclass(frozen=True, slots=True)
class Seen:
    """A row whose key is a whole number, or a letter that is an option too, and what that can mean there."""

    number: int
    key: int | str
    texts: tuple[str, ...]
    fits: frozenset[Convention]

    def __str__(self) -> str:
        options = ", ".join(repr(text[:24]) for text in self.texts[:6])
        return f"row {self.number} answers {self.key} of [{options}]"


def infer(rows: Iterable[tuple[int, object, Options]], where: str) -> Convention | None:
    """The convention of the whole-number keys among (row, key, options); None where there are none.

    Letters that are options too (blood types) are letters or texts as the other keys of the source are.

    Raises:
        SourceError: the rows fit several conventions, or none fits them all; the sentence shows rows.
    """
    left, shown, letters = frozenset(COUNTED), list[Seen](), _Letters()
    for number, key, options in rows:
        letters.see(number, key, options)
        seen = _counted(number, key, options)
        if seen is None:
            continue
        if not shown or not left <= seen.fits:
            shown.append(seen)  # what narrows the choice is what proves it
        left &= seen.fits
        if not left:
            break
    if not shown:
        return letters.convention(where)
    if len(left) == 1:
        return next(iter(left))
    rows_shown = "; ".join(map(str, shown[-_SHOWN:]))
    what = " or ".join(sorted(left)) if left else "no one convention"
    raise SourceError(
        f"The answers of {where} are whole numbers, and its rows fit {what} ({rows_shown}); say what they are in the "
        "recipe's columns: answers: zero_based, one_based or text."
    )


def _counted(number: int, key: object, options: Options) -> Seen | None:
    """A row whose key is a whole number that can mean something; one that is a label means the option that has it."""
    value = whole(key)
    if value is None or len(options.texts) < 2:
        return None
    fits = {name for name in COUNTED if _place(value, options, name) is not None}
    labelled = options.labelled(str(value))
    if labelled is not None:
        fits = {name for name in fits if name is not Convention.TEXT and _place(value, options, name) == labelled}
    return Seen(number, value, options.texts, frozenset(fits)) if fits else None


@dataclass(slots=True)
class _Letters:
    """What keys that are letters can be: the letter of an option, or its whole text."""

    plain: int = 0
    texts: int = 0
    both: list[Seen] = field(default_factory=list)

    def see(self, number: int, key: object, options: Options) -> None:
        """Count a row."""
        said = str(key).strip() if isinstance(key, str) else ""
        if (
            not said
            or not choices.distinct(options.texts)
            or whole(key) is not None
            or options.labelled(said) is not None
        ):
            return
        alike = [place for place, text in enumerate(options.texts) if text.strip().casefold() == said.casefold()]
        letter = ascii_uppercase.find(said.upper()) if len(said) == 1 else -1
        if 0 <= letter < len(options.texts) and alike and alike != [letter]:
            if len(self.both) < _SHOWN:
                self.both.append(Seen(number, said, options.texts, frozenset()))
        elif not alike:
            self.plain += 0 <= letter < len(options.texts)
        else:
            self.texts += alike != [letter]

    def convention(self, where: str) -> Convention | None:
        """None where no key can be both, or the one that all other keys are.

        Raises:
            SourceError: they are of both kinds, or there is no other.
        """
        if not self.both:
            return None
        if bool(self.plain) != bool(self.texts):
            return Convention.LETTERS if self.plain else Convention.TEXT
        raise SourceError(
            f"The answers of {where} may be letters or the options' own texts ({'; '.join(map(str, self.both))}); say "
            "which in the recipe's columns: answers: letters or text."
        )


def whole(key: object) -> int | None:
    """A key that is a whole number, also as text."""
    if isinstance(key, bool):
        return None
    if isinstance(key, float) and key.is_integer():
        return int(key)
    if isinstance(key, str):
        key = key.strip().removesuffix(".0")  # a column of numbers with a gap in it is one of decimal numbers
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
    if is_missing(key) and not (isinstance(key, str) and choices.by_text(key, options.texts)):
        raise LineProblem(Reason.MISSING_FIELD, f"row {row} has no answer")
    if isinstance(key, bool):
        key = str(key)
    if isinstance(key, list | tuple | dict):
        raise LineProblem(Reason.UNGRADABLE_ANSWER, f"row {row} does not answer with one option ({str(key)[:60]})")
    value = whole(key)
    counted = value is not None and convention in COUNTED
    if not counted and convention is not Convention.TEXT and (place := options.labelled(str(key))) is not None:
        return ascii_uppercase[place]
    if options.labels and len(str(key).strip()) == 1 and str(key).strip().isalpha():
        raise LineProblem(
            Reason.UNGRADABLE_ANSWER,
            f"row {row} answers {str(key).strip()!r}, and its options are labelled {', '.join(options.labels)}",
        )
    if value is not None and convention is not None and convention in COUNTED:
        place = _place(value, options, convention)
        if place is None:
            detail = f"row {row} answers {value}, and {convention} that is none of its {len(options.texts)} options"
            raise LineProblem(Reason.UNGRADABLE_ANSWER, detail)
        return ascii_uppercase[place]
    found = _named(str(key), options.texts, convention)
    if not found:
        raise LineProblem(Reason.UNGRADABLE_ANSWER, f"row {row} answers {str(key)[:60]!r}, which is no option")
    return found


def _named(key: str, texts: Sequence[str], convention: Convention | None) -> str:
    """The letter of the option that a text names."""
    if convention is Convention.TEXT:
        return choices.by_text(key, texts)
    if convention is Convention.LETTERS and len(key.strip()) == 1:
        return key.strip().upper() if key.strip().upper() in ascii_uppercase[: len(texts)] else ""
    return choices.letter(key, texts)


def is_missing(key: object) -> bool:
    """Whether a value says that there is no answer: null, NaN, or a text such as "N/A"."""
    if key is None or key == [] or (isinstance(key, float) and key != key):
        return True
    return isinstance(key, str) and key.strip().lower() in MISSING
