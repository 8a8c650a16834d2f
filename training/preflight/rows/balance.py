"""Whether the right answers are spread evenly over the letters: a key that favours one can be learned without looking.

A chi-square test of equal frequencies, over questions of any number of options.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from string import ascii_uppercase


@dataclass(frozen=True, slots=True)
class Balance:
    """How often each letter is right, and the probability `p` of so uneven a key or a worse one if all are equal."""

    counts: dict[str, int]
    chi_square: float
    p: float


def balance(letters: Mapping[tuple[int, int], int]) -> Balance | None:
    """The balance of (place of the right letter, number of options) -> count; None without questions.

    With questions of different numbers of options, the statistics and their degrees of freedom add up.
    """
    total, freedom = 0.0, 0
    for options in {of for _, of in letters if of > 1}:
        observed = [letters.get((place, options), 0) for place in range(options)]
        expected = sum(observed) / options
        total += sum((count - expected) ** 2 / expected for count in observed)
        freedom += options - 1
    if not freedom:
        return None
    from scipy.stats import chi2

    counts: Counter[str] = Counter()
    for (place, _), count in sorted(letters.items()):
        counts[ascii_uppercase[place]] += count
    return Balance(dict(counts), total, float(chi2.sf(total, freedom)))
