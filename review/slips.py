"""How many keys are wrong, drawn from what is known: the sample's votes, the people's own slips, the rows not drawn.

A reviewer slips now and then, and where nine keys in ten are right most slips are false alarms, so the share of "no"
overstates the share of wrong keys. Where questions have several votes, how often votes on one question differ tells the
slips apart (a latent class model, Dawid and Skene 1979, Applied Statistics 28:20-28, with one rate of false alarms and
one of misses for all people). Strata of one group share what is known of their rates as far as these are alike (a
beta-binomial hierarchy), so many small strata neither pull the sum nor pretend to be sure. Both are sampled by Gibbs'
method over counts of equal voting patterns.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

#: Draws kept; the ends of an interval are then sure to about a hundredth of its width.
DRAWS = 4_000
_WARM_UP = 400
#: Fewer questions with two and more votes say too little of the slips.
ENOUGH = 20
#: Beta prior of both slip rates: about one in ten, worth ten votes.
_SLIPS = (1.0, 9.0)


@dataclass(frozen=True, slots=True)
class Votes:
    """The votes on the sampled questions of one cell: each (how many say wrong, how many say right), with its count.

    Cells of one `group` are thought to be more alike than others.
    """

    rows: int
    group: str
    patterns: Mapping[tuple[int, int], int]

    @staticmethod
    def of(rows: int, group: str, votes: Sequence[tuple[int, int]]) -> "Votes":
        """The votes of a cell of so many rows; questions on which nobody could tell are as good as not drawn."""
        return Votes(rows, group, Counter(vote for vote in votes if sum(vote)))

    def at_their_word(self) -> "Votes":
        """One vote a question, that of most people; a tie says nothing."""
        said: Counter[tuple[int, int]] = Counter()
        for (no, yes), count in self.patterns.items():
            if no != yes:
                said[int(no > yes), int(yes > no)] += count
        return Votes(self.rows, self.group, said)

    @property
    def told(self) -> int:
        """Questions with a vote."""
        return sum(self.patterns.values())


@dataclass(frozen=True, slots=True)
class Posterior:
    """Draws of the number of wrong keys in each cell (draws x cells), and the mean slips: false alarms and misses.

    `slips` is None where too few questions have several votes; the votes are then taken at their word.
    """

    wrong: Counts
    slips: tuple[float, float] | None


def posterior(cells: Sequence[Votes], seed: int = 0) -> Posterior:
    """The posterior over all rows of the cells, those not drawn included."""
    several = sum(n for cell in cells for vote, n in cell.patterns.items() if sum(vote) > 1)
    trusted = several < ENOUGH
    if trusted:
        cells = [cell.at_their_word() for cell in cells]
    drawn, slips = _gibbs(cells, np.random.default_rng(seed), trusted)
    return Posterior(drawn, None if trusted else (float(slips[0]), float(slips[1])))


def _gibbs(cells: Sequence[Votes], generator: np.random.Generator, trusted: bool) -> tuple[Counts, Numbers]:
    table = [(place, no, yes, n) for place, cell in enumerate(cells) for (no, yes), n in sorted(cell.patterns.items())]
    place, no, yes, count = np.array(table, dtype=np.int64).reshape(-1, 4).T
    told = np.array([cell.told for cell in cells])
    rest = np.array([cell.rows - cell.told for cell in cells])
    groups = _Groups(cells)
    rate, alarm, miss = np.full(len(cells), 0.2), *((0.0, 0.0) if trusted else (0.1, 0.1))
    drawn, slips = np.empty((DRAWS, len(cells)), np.int64), np.empty((DRAWS, 2))
    for turn in range(-_WARM_UP, DRAWS):
        wrong = generator.binomial(count, _probability(rate[place], alarm, miss, no, yes))
        right = count - wrong
        in_cell = np.bincount(place, wrong, len(cells)).astype(np.int64)
        centre, weight = groups.draw(rate, generator)
        rate = generator.beta(in_cell + centre * weight, told - in_cell + (1 - centre) * weight)
        if not trusted:
            alarm = _slip(generator, (right * no).sum(), (right * yes).sum())
            miss = _slip(generator, (wrong * yes).sum(), (wrong * no).sum())
        if turn >= 0:
            drawn[turn] = in_cell + generator.binomial(rest, rate)
            slips[turn] = alarm, miss
    return drawn, slips.mean(axis=0)


def _probability(rate: Numbers, alarm: float, miss: float, no: Counts, yes: Counts) -> Numbers:
    """That a key with such votes is wrong."""
    wrong = rate * (1 - miss) ** no * miss**yes
    right = (1 - rate) * alarm**no * (1 - alarm) ** yes
    return np.asarray(wrong / np.maximum(wrong + right, 1e-300))


def _slip(generator: np.random.Generator, slipped: float, not_slipped: float) -> float:
    """A rate below one half, or right and wrong would change their places."""
    drawn = generator.beta(_SLIPS[0] + slipped, _SLIPS[1] + not_slipped)
    return float(min(drawn, 0.499))


class _Groups:
    """Of each group of cells the centre and the weight of the beta distribution that their rates come from.

    The centre has Jeffreys' prior, the weight (in questions) one that is even on its logarithm from 2 to 256; both are
    drawn from a grid, on which the likelihood needs no more of the rates than the sums of their logarithms.
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
        """Centre and weight for each cell, given the rates of all."""
        clipped = np.clip(rate, 1e-12, 1 - 1e-12)
        wrong, right = (np.bincount(self._of, np.log(part), len(self._sizes)) for part in (clipped, 1 - clipped))
        size = self._sizes[:, None]
        a, b = self._centre * self._weight, (1 - self._centre) * self._weight
        score = size * self._constant + (a - 1) * wrong[:, None] + (b - 1) * right[:, None]
        chosen = np.argmax(score + generator.gumbel(size=score.shape), axis=1)
        return self._centre[chosen][self._of], self._weight[chosen][self._of]
