"""Which option a source's key names: one convention a source, given by its recipe or inferred from all its rows.

A letter, a label that the options bring along, and an option's text speak for themselves. A whole number does not: it
may count options from 0 or from 1, or be an option's text. Guessed row by row, whole files would silently come out
wrong; so all rows are looked at first, and a source whose rows leave it open, or contradict each other, is refused.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from string import ascii_uppercase

from capcurriculum.errors import SourceError
from capcurriculum.reasons import Reason
from datagen.sources.formats.json_lines import LineProblem
from datagen.sources.options import choices
from datagen.sources.options.key_evidence import COUNTED, Convention, Letters, Numbers, by_letter, place_of, whole
from datagen.sources.options.options import Options

#: Texts that stand for a missing answer; the last two are NuminaMath's. Not `na`, which is sodium too.
MISSING = frozenset(["", "none", "null", "nan", "n/a", "<na>", "notfound", "proof"])
Rows = Iterable[tuple[int, object, Options]]


@dataclass(frozen=True, slots=True)
class Reading:
    """What the keys of a source are: whole numbers, and letters that may be texts; None where that is plain."""

    numbers: Convention | None = None
    letters: Convention | None = None

    def __str__(self) -> str:
        return " and ".join(dict.fromkeys(filter(None, (self.numbers, self.letters))))


def infer(rows: Rows, where: str) -> Reading:
    """What the keys among (row, key, options) are.

    Letters that are options too (blood types) are letters or texts as the other keys of the source are.

    Raises:
        SourceError: the rows fit several conventions that differ, or none fits them all; the sentence shows rows.
    """
    numbers, letters = Numbers(), Letters()
    for number, key, options in rows:
        letters.see(number, key, options)
        numbers.see(number, key, options)
    return Reading(numbers.convention(where), letters.convention(where))


def check(rows: Rows, said: Convention, where: str) -> Reading:
    """The convention that the recipe says, unless the rows show another.

    Raises:
        SourceError: some rows do not fit it, and all of them fit another one.
    """
    numbers, letters = Numbers(), Letters()
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
    return Reading(said if said in COUNTED else None, said if said not in COUNTED[:2] else None)


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
        place = place_of(value, options, reading.numbers)
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
    lettered, exactly = by_letter(key.strip(), options), options.exactly(key)
    if letters is Convention.TEXT:
        return ascii_uppercase[exactly] if exactly is not None else choices.by_text(key, options.texts)
    place = lettered if lettered is not None else exactly
    if lettered is not None and not options.labels:
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
