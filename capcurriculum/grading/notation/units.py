r"""Units: a closed list with synonyms, powers, quotients and LaTeX spellings, and when two of them are one.

A unit that is not listed is no unit: `3 million`, `5 pi`, `6 xy` and `12 Main Street` have none. Nothing is converted.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from capcurriculum.grading.notation.unit_list import COUNTED, FOLDED, LISTED, singular
from capcurriculum.grading.notation.vocabulary import NOT_COUNTED

_WIDE = {"平方": 2, "立方": 3}
_POWER_WORDS = {"square": 2, "sq": 2, "sq.": 2, "squared": 2, "cubic": 3, "cu": 3, "cu.": 3, "cubed": 3}
_PIECE = re.compile(
    r"(\^\{?(-?\d)\}?)|(/|\bper\b)|(\*|\\cdot|\\times|-(?=[A-Za-z]))|(°[CF]?|[%$€£¥₹¢]|[^\W\d_]+\.?|\\[A-Za-z]+)|(\S)"
)
_TEMPERATURE = re.compile(r"(?:°|\bdegrees?) *(C|F|celsius|fahrenheit)\b", re.IGNORECASE)
_QUOTIENT = re.compile(r"\\frac ?\{?([^{}/]+?)\}? ?\{([^{}/]+)\}")
_QUOTIENTS = {"mph": ("mi", "h"), "kph": ("km", "h")}
_LONGEST = 60


@dataclass(frozen=True, slots=True)
class Unit:
    """Powers of named units, `{'m': 1, 's': -2}`; `noun` is a gold answer's own word that is not listed."""

    powers: tuple[tuple[str, int], ...]
    noun: str = ""

    @property
    def listed(self) -> bool:
        """Whether it is of the list of measures, and no count of things."""
        return not self.noun and not any(name in COUNTED for name, _ in self.powers)

    @property
    def name(self) -> str:
        """The one unit it is, to the first power; "" for all else."""
        return self.powers[0][0] if len(self.powers) == 1 and self.powers[0][1] == 1 else ""


PERCENT = Unit((("%", 1),))


def unit(text: str) -> Unit | None:
    r"""The unit that `text` writes (`cm^2`, `km/h`, `m s^{-2}`, `square feet`, `miles per hour`); None if none."""
    text = text.strip().replace(r"\mu ", "μ").replace(r"\mu", "μ").replace(r"\min", "min")
    text = text.replace(r"\Omega", "Ω")
    text = _TEMPERATURE.sub(lambda found: "°" + found[1][0].upper(), _QUOTIENT.sub(r"\1/\2", text))
    if not text or len(text) > _LONGEST:
        return None
    powers: Counter[str] = Counter()
    sign, ahead, last = 1, 1, ""
    for power, digit, over, times, word, other in _PIECE.findall(text):
        if other:
            return None
        if power:
            if not last:
                return None
            powers[last] += _sign_of(powers, last) * int(digit) - powers[last]
            last = ""
        elif over:
            sign = -1
        elif times:
            continue
        elif word.lower() in _POWER_WORDS:
            given = _POWER_WORDS[word.lower()]
            if word.lower().endswith("ed"):
                if not last:
                    return None
                powers[last] *= given
            else:
                ahead = given
        else:
            found = _named(word)
            if not found or (last and sign == 1 and found[0] in COUNTED | {"unit"}):
                return None
            last = found[0]
            powers[last] += sign * ahead * found[1]
            ahead = 1
    for name, (above, below) in _QUOTIENTS.items():
        power = powers.pop(name, 0)
        if power:
            powers[above] += power
            powers[below] -= power
    return Unit(tuple(sorted((n, p) for n, p in powers.items() if p))) if powers and ahead == 1 else None


def _sign_of(powers: Mapping[str, int], name: str) -> int:
    return -1 if powers[name] < 0 else 1


def _named(word: str) -> tuple[str, int] | None:
    """(listed name, power) of one word."""
    bare = word.rstrip(".") or word
    for spelling in (word, bare):
        if spelling in LISTED:
            return LISTED[spelling], 1
    folded = bare.casefold()
    if folded in FOLDED:
        return FOLDED[folded], 1
    for wide, power in _WIDE.items():
        if bare.startswith(wide) and bare.removeprefix(wide) in LISTED:
            return LISTED[bare.removeprefix(wide)], power
    one = singular(folded)
    return (one, 1) if one in COUNTED else None


def noun(text: str, *, any_thing: bool) -> Unit | None:
    r"""What upright words after a number count: `\text{ red marbles}`, `\text{ cups of flour}`.

    The thing must be listed, unless `any_thing` will do: a gold answer may count what it likes.
    """
    words = text.strip().strip(".").split()
    if not 1 <= len(words) <= 4 or not all(re.fullmatch(r"[a-z][a-z'-]+", word) for word in words):
        return None
    counted = words[: words.index("of")] if "of" in words else words
    if any(word in NOT_COUNTED for word in words) or not counted:
        return None
    if not any_thing and _named(counted[-1]) is None:
        return None
    return Unit((), " ".join(words))


def agree(one: Unit | None, other: Unit | None) -> bool:
    """Whether two units can be of equal quantities: either is absent, they are the same, or one is just "units"."""
    if one is None or other is None or one == other:
        return True
    if _generic(one) or _generic(other) or {one.name, other.name} == {"lb", "£"}:
        return True
    said, heard = _nouns(one), _nouns(other)
    return bool(said and heard and (said <= heard or heard <= said)) and bool(one.noun or other.noun)


def _generic(one: Unit) -> bool:
    return [name for name, _ in one.powers] == ["unit"]


def _nouns(one: Unit) -> set[str]:
    return {singular(word) for word in one.noun.split()} or ({one.name} if one.name in COUNTED else set())
