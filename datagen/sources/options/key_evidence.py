"""What the rows of a source show about its keys: do whole numbers count from 0 or from 1, and are letters texts?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import combinations
from string import ascii_uppercase

from capcurriculum.errors import SourceError
from datagen.sources.options import choices
from datagen.sources.options.options import Options

_SHOWN = 3


class Convention(StrEnum):
    """What a key is."""

    LETTERS = "letters"
    ZERO_BASED = "zero_based"
    ONE_BASED = "one_based"
    TEXT = "text"


COUNTED = (Convention.ZERO_BASED, Convention.ONE_BASED, Convention.TEXT)


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


@dataclass(slots=True)
class Numbers:
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
        found = {name: place for name in COUNTED if (place := place_of(value, options, name)) is not None}
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
class Letters:
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
        letter = by_letter(said, options)
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


def by_letter(key: str, options: Options) -> int | None:
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


def place_of(value: int, options: Options, convention: Convention) -> int | None:
    """The place of the option that a whole number means under a convention; None for none."""
    match convention:
        case Convention.ZERO_BASED:
            place = value
        case Convention.ONE_BASED:
            place = value - 1
        case _:
            letter = choices.by_text(str(value), options.texts)
            return ascii_uppercase.index(letter) if letter else None
    return place if 0 <= place < len(options.texts) else None
