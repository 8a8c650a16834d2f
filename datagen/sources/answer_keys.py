"""Which option a source's key names: one convention for the whole source, said by its recipe or read off all its rows.

A letter, a label that the options bring along, and an option's text speak for themselves. A whole number does not: it
may count options from 0 or from 1, or be an option's text. Guessed row by row, whole files come out wrong without a
word; so all rows are looked at first, and a source whose rows leave it open, or contradict each other, is refused.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import combinations
from string import ascii_uppercase
from typing import Self

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
Rows = Iterable[tuple[int, object, Options]]


@dataclass(frozen=True, slots=True)
class Reading:
    """What the keys of a source are: whole numbers, and letters that may be texts; None where that is plain."""

    numbers: Convention | None = None
    letters: Convention | None = None

    @classmethod
    def told(cls, said: Convention) -> Self:
        """As the recipe says for all keys."""
        return cls(said if said in COUNTED else None, said if said not in COUNTED[:2] else None)

    def __str__(self) -> str:
        return " and ".join(dict.fromkeys(filter(None, (self.numbers, self.letters))))


@dataclass(frozen=True, slots=True)
class Seen:
    """A row with its key, and where each convention finds its option, if it does."""

    number: int
    key: int | str
    texts: tuple[str, ...]
    places: Mapping[Convention, int] = field(default_factory=dict)

    def __str__(self) -> str:
        options = ", ".join(repr(text[:24]) for text in self.texts[:6])
        return f"row {self.number} answers {self.key} of [{options}]"


def infer(rows: Rows, where: str) -> Reading:
    """What the keys among (row, key, options) are.

    Letters that are options too (blood types) are letters or texts as the other keys of the source are.

    Raises:
        SourceError: the rows fit several conventions that differ, or none fits them all; the sentence shows rows.
    """
    numbers, letters = _Numbers(), _Letters()
    for number, key, options in rows:
        letters.see(number, key, options)
        numbers.see(number, key, options)
    return Reading(numbers.convention(where), letters.convention(where))


def check(rows: Rows, said: Convention, where: str) -> Reading:
    """The convention that the recipe says, unless the rows show another.

    Raises:
        SourceError: some rows do not fit it, and all of them fit another one.
    """
    numbers, letters = _Numbers(), _Letters()
    for number, key, options in rows:
        letters.see(number, key, options)
        numbers.see(number, key, Options(options.texts))  # the recipe's word stands above labels that are numbers
    other = numbers.other_than(said)
    if other:
        raise SourceError(
            f"The recipe says that answers of {where} are {said}, and its rows fit {other} and not that "
            f"({'; '.join(map(str, numbers.against(said)))}); say answers: {other}, or leave it out."
        )
    if said is Convention.LETTERS and letters.both and letters.texts:
        raise SourceError(
            f"The recipe says that answers of {where} are letters, and some are the options' own texts "
            f"({'; '.join(map(str, letters.both))}); say answers: text, or leave it out."
        )
    return Reading.told(said)


@dataclass(slots=True)
class _Numbers:
    """What keys that are whole numbers can be; a number that is a label means the option that has it."""

    fits: dict[Convention, int] = field(default_factory=lambda: dict.fromkeys(COUNTED, 0))
    rows: int = 0
    shown: dict[frozenset[Convention], Seen] = field(default_factory=dict)
    differ: set[frozenset[Convention]] = field(default_factory=set)

    def see(self, number: int, key: object, options: Options) -> None:
        """Count a row."""
        value = whole(key)
        if value is None or len(options.texts) < 2:
            return
        found = {name: place for name in COUNTED if (place := _place(value, options, name)) is not None}
        labelled = options.labelled(str(value))
        if labelled is not None:
            found = {name: place for name, place in found.items() if name in COUNTED[:2] and place == labelled}
        if not found:
            return
        self.rows += 1
        for name in found:
            self.fits[name] += 1
        self.shown.setdefault(frozenset(found), Seen(number, value, options.texts, found))
        self.differ |= {frozenset((a, b)) for a, b in combinations(found, 2) if found[a] != found[b]}

    @property
    def all_fit(self) -> list[Convention]:
        """The conventions that fit every row."""
        return [name for name in COUNTED if self.rows and self.fits[name] == self.rows]

    def against(self, said: Convention) -> list[Seen]:
        """Rows that do not fit a convention."""
        return [seen for fits, seen in self.shown.items() if said not in fits][:_SHOWN]

    def other_than(self, said: Convention) -> Convention | None:
        """The convention that fits all rows where this one does not."""
        if said not in COUNTED or not self.rows or self.fits[said] == self.rows:
            return None
        return next(iter(self.all_fit), None)

    def convention(self, where: str) -> Convention | None:
        """The one that fits all rows, or one of several that find the same options; None where there are no rows.

        Raises:
            SourceError: there is none, or they differ.
        """
        left = self.all_fit
        if not self.rows or (left and not any(frozenset(pair) in self.differ for pair in combinations(left, 2))):
            return left[0] if left else None
        rows = "; ".join(str(seen) for seen in list(self.shown.values())[-_SHOWN:])
        what = " or ".join(sorted(left)) if left else "no one convention"
        raise SourceError(
            f"The answers of {where} are whole numbers, and its rows fit {what} ({rows}); say what they are in the "
            "recipe's columns: answers: zero_based, one_based or text."
        )


@dataclass(slots=True)
class _Letters:
    """What keys that are letters can be: the letter or label of an option, or its whole text."""

    plain: int = 0
    texts: int = 0
    both: list[Seen] = field(default_factory=list)

    def see(self, number: int, key: object, options: Options) -> None:
        """Count a row."""
        said = str(key).strip() if isinstance(key, str) else ""
        if not said or whole(key) is not None or not choices.distinct(options.texts):
            return
        alike = options.exactly(said)
        letter = _by_letter(said, options)
        if alike is not None and letter is not None and alike != letter:
            if len(self.both) < _SHOWN:
                self.both.append(Seen(number, said, options.texts))
        elif alike is None:
            self.plain += letter is not None
        else:
            self.texts += letter is None

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


def _by_letter(key: str, options: Options) -> int | None:
    """The place that a key means as a label, or as a letter where there are no labels."""
    if options.labels:
        return options.labelled(key)
    place = ascii_uppercase.find(key.upper()) if len(key) == 1 else -1
    return place if 0 <= place < len(options.texts) else None


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


def letter(key: object, options: Options, reading: Reading, row: int) -> str:
    """The letter of the option that a key names.

    Raises:
        LineProblem: there is no key, it names several options or none, or its options are missing.
    """
    if isinstance(key, list | tuple) and len(key) == 1:
        key = key[0]
    if is_missing(key) and not (isinstance(key, str) and choices.by_text(key, options.texts)):
        raise LineProblem(Reason.MISSING_FIELD, f"row {row} has no answer")
    if isinstance(key, list | tuple | dict):
        raise LineProblem(Reason.UNGRADABLE_ANSWER, f"row {row} does not answer with one option ({str(key)[:60]})")
    said, value = str(key), whole(key)
    if value is not None and reading.numbers is not None:
        place = _place(value, options, reading.numbers)
        if place is None:
            detail = f"{reading.numbers} that is none of its {len(options.texts)} options"
            raise LineProblem(Reason.UNGRADABLE_ANSWER, f"row {row} answers {value}, and {detail}")
        return ascii_uppercase[place]
    if found := _named(said, options, reading.letters):
        return found
    labelled = options.labels and len(said.strip()) == 1 and said.strip().isalpha()
    why = f"its options are labelled {', '.join(options.labels)}" if labelled else "that is none of its options"
    raise LineProblem(Reason.UNGRADABLE_ANSWER, f"row {row} answers {said.strip()[:60]!r}, and {why}")


def _named(key: str, options: Options, letters: Convention | None) -> str:
    """The letter of the option that a text names: as a letter or label, as it is written, or by what it says."""
    by_letter, exactly = _by_letter(key.strip(), options), options.exactly(key)
    if letters is Convention.TEXT:
        return ascii_uppercase[exactly] if exactly is not None else choices.by_text(key, options.texts)
    place = by_letter if by_letter is not None else exactly
    if by_letter is not None and not options.labels:
        return choices.letter(key, options.texts)  # which refuses a letter that another option bears
    if place is not None:
        return ascii_uppercase[place]
    alone = len(key.strip()) == 1 and key.strip().isalpha()
    if options.labels and alone:
        return ""
    return choices.letter(key, options.texts)


def is_missing(key: object) -> bool:
    """Whether a value says that there is no answer: null, NaN, or a text such as "N/A"."""
    if key is None or key == [] or (isinstance(key, float) and key != key):
        return True
    return isinstance(key, str) and key.strip().lower() in MISSING
