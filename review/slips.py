"""Posterior of the number of wrong keys, from reviewers' votes on a stratified sample.

Reviewers make errors, and if most keys are right most errors are false alarms, so the share of "no" votes overstates
the share of wrong keys. Several votes on a question identify the error rates: a latent class model (Dawid and Skene
1979, Applied Statistics 28:20-28) with one rate of false alarms and one of misses for all reviewers. Strata of one
group share a beta-binomial prior, so small strata shrink towards each other. Both are fitted by Gibbs sampling over the
counts of equal voting patterns.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

#: Draws kept; the Monte Carlo error of an interval's ends is about a hundredth of its width.
DRAWS = 4_000
_WARM_UP = 400
#: Questions with two or more votes that the error rates need.
ENOUGH = 20
#: Beta prior of both error rates: mean 0.1, the weight of ten votes.
_SLIPS = (1.0, 9.0)


@dataclass(frozen=True, slots=True)
class Votes:
    """The votes on one cell of `rows` questions: `patterns` counts the sampled questions by (votes wrong, votes right).

    Cells of one `group` share a prior.
    """

    rows: int
    group: str
    patterns: Mapping[tuple[int, int], int]

    @staticmethod
    def of(rows: int, group: str, votes: Sequence[tuple[int, int]]) -> "Votes":
        """Count the patterns; questions without a decisive vote count as not drawn."""
        return Votes(rows, group, Counter(vote for vote in votes if sum(vote)))

    def majority(self) -> "Votes":
        """One vote for each question, that of the majority; ties are dropped."""
        found: Counter[tuple[int, int]] = Counter()
        for (no, yes), count in self.patterns.items():
            if no != yes:
                found[int(no > yes), int(yes > no)] += count
        return Votes(self.rows, self.group, found)


@dataclass(frozen=True, slots=True)
class Posterior:
    """Draws of the number of wrong keys, of shape (draws, cells), and the mean rates of false alarms and of misses.

    `slips` is None if fewer than `ENOUGH` questions have several votes; the majority is then taken as the truth.
    """

    wrong: Counts
    slips: tuple[float, float] | None


def posterior(cells: Sequence[Votes], seed: int = 0) -> Posterior:
    """The posterior over all rows of the cells, including those not drawn."""
    several = sum(n for cell in cells for vote, n in cell.patterns.items() if sum(vote) > 1)
    trusted = several < ENOUGH
    if trusted:
        cells = [cell.majority() for cell in cells]
    drawn, slips = _gibbs(cells, np.random.default_rng(seed), trusted)
    return Posterior(drawn, None if trusted else (float(slips[0]), float(slips[1])))


def _gibbs(cells: Sequence[Votes], generator: np.random.Generator, trusted: bool) -> tuple[Counts, Numbers]:
    table = [(place, no, yes, n) for place, cell in enumerate(cells) for (no, yes), n in sorted(cell.patterns.items())]
    place, no, yes, count = np.array(table, dtype=np.int64).reshape(-1, 4).T
    voted = np.array([sum(cell.patterns.values()) for cell in cells])
    rest = np.array([cell.rows for cell in cells]) - voted
    groups = _Groups(cells)
    rate, alarm, miss = np.full(len(cells), 0.2), *((0.0, 0.0) if trusted else (0.1, 0.1))
    drawn, slips = np.empty((DRAWS, len(cells)), np.int64), np.empty((DRAWS, 2))
    for turn in range(-_WARM_UP, DRAWS):
        wrong = generator.binomial(count, _probability(rate[place], alarm, miss, no, yes))
        right = count - wrong
        in_cell = np.bincount(place, wrong, len(cells)).astype(np.int64)
        centre, weight = groups.draw(rate, generator)
        rate = generator.beta(in_cell + centre * weight, voted - in_cell + (1 - centre) * weight)
        if not trusted:
            alarm = _slip(generator, (right * no).sum(), (right * yes).sum())
            miss = _slip(generator, (wrong * yes).sum(), (wrong * no).sum())
        if turn >= 0:
            drawn[turn] = in_cell + generator.binomial(rest, rate)
            slips[turn] = alarm, miss
    return drawn, slips.mean(axis=0)


def _probability(rate: Numbers, alarm: float, miss: float, no: Counts, yes: Counts) -> Numbers:
    """Probability that a key is wrong, given its votes."""
    wrong = rate * (1 - miss) ** no * miss**yes
    right = (1 - rate) * alarm**no * (1 - alarm) ** yes
    return np.asarray(wrong / np.maximum(wrong + right, 1e-300))


def _slip(generator: np.random.Generator, slipped: float, not_slipped: float) -> float:
    """Draw an error rate, below 1/2 so that right and wrong cannot swap."""
    drawn = generator.beta(_SLIPS[0] + slipped, _SLIPS[1] + not_slipped)
    return float(min(drawn, 0.499))


class _Groups:
    """Mean and weight of the beta prior of each group's rates, drawn from a grid.

    The mean has Jeffreys' prior, the weight (in questions) a log-uniform one from 2 to 256. The likelihood depends on
    the rates through the sums of log(rate) and log(1 - rate) alone.
    """

    def __init__(self, cells: Sequence[Votes]) -> None:
        from scipy.special import gammaln

        names = sorted({cell.group for cell in cells})
        self._of = np.array([names.index(cell.group) for cell in cells])
        self._sizes = np.bincount(self._of)
        centres = np.sin(np.pi * (np.arange(64) + 0.5) / 128) ** 2
        self._centre, self._weight = (m.ravel() for m in np.meshgrid(centres, 2.0 ** np.arange(1, 9)))
        a, b = self._centre * self._weight, (1 - self._centre) * self._weight
        self._constant = gammaln(self._weight) - gammaln(a) - gammaln(b)

    def draw(self, rate: Numbers, generator: np.random.Generator) -> tuple[Numbers, Numbers]:
        """Mean and weight for each cell, given all rates."""
        clipped = np.clip(rate, 1e-12, 1 - 1e-12)
        wrong, right = (np.bincount(self._of, np.log(part), len(self._sizes)) for part in (clipped, 1 - clipped))
        size = self._sizes[:, None]
        a, b = self._centre * self._weight, (1 - self._centre) * self._weight
        score = size * self._constant + (a - 1) * wrong[:, None] + (b - 1) * right[:, None]
        chosen = np.argmax(score + generator.gumbel(size=score.shape), axis=1)
        return self._centre[chosen][self._of], self._weight[chosen][self._of]
