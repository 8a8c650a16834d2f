"""The noise certificate: a 95 % upper bound of wrong keys among the kept rows, from a sample that people reviewed.

Rows found wrong are corrected or left out, so the bound is that of the rows that remain: those nobody looked at, by
`bound`, and what people missed among the others. A row that they could not decide counts as wrong, and one that is
newer than the sample too. Auditors decide nothing here: they say where to look (`review.design`), and people's answers
say how far they are to be trusted.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from datagen.auditor import Opinion
from filters.human.adjudicate import Decision
from review.bound import Looked, most_left
from review.sample import Sample


@dataclass(frozen=True, slots=True)
class Auditors:
    """Rows that people decided and auditors judged: how many are right and wrong, and how many of each were doubted."""

    right: int
    right_doubted: int
    wrong: int
    wrong_doubted: int


@dataclass(frozen=True, slots=True)
class Certificate:
    """The bound over the kept rows of `stages`.

    Of `drawn` rows people answered `reviewed`, of which `wrong` are corrected or left out and `undecided` are not
    decided. `rows` are left, and at most `most` of them are wrong. `newer` were built after the sample was drawn.
    `misses` is the share of wrong keys that people's decisions let pass, None if it cannot be told.
    """

    stages: tuple[str, ...]
    rows: int
    drawn: int
    reviewed: int
    wrong: int
    undecided: int
    newer: int
    most: int
    misses: float | None
    auditors: Auditors | None

    @property
    def share(self) -> float:
        """The upper bound, from 0 to 1."""
        return min(1.0, self.most / self.rows) if self.rows else 0.0

    def over(self, rows: int) -> "Certificate":
        """The certificate of a set of so many rows: part of those that are left, or they and others that are newer."""
        more = max(0, rows - self.rows)
        return replace(self, rows=rows, newer=self.newer + more, most=min(rows, self.most + more))

    def sentences(self) -> Iterator[str]:
        """What the bound is and rests on, in words without names."""
        bound = f"At most {self.share:.1%} of the {self.rows:,} rows ({self.most:,}) have a wrong label"
        yield f"{bound}, at 95 % confidence: people reviewed {self.reviewed:,} drawn at random."
        if self.wrong:
            yield f"They found {self.wrong:,} wrong, corrected or left out since."
        if self.undecided:
            yield f"They could not decide {self.undecided:,}, which count as wrong."
        if self.drawn > self.reviewed:
            missing = f"{self.drawn - self.reviewed:,} more were drawn and have no answer"
            yield f"{missing}; the bound holds if none was skipped for what it shows."
        if self.newer:
            yield f"{self.newer:,} rows are newer than the sample and count as wrong; a sample drawn anew covers them."
        if self.misses is None:
            yield "Mistakes of people are not in it: too few rows have two answers to tell them."
        else:
            yield f"It counts that people let {self.misses:.1%} of wrong labels pass."
        if self.auditors:
            yield _trusted(self.auditors)


def _trusted(found: Auditors) -> str:
    return (
        f"Auditors had doubted {found.wrong_doubted:,} of the {found.wrong:,} that people found wrong and "
        f"{found.right_doubted:,} of the {found.right:,} that they found right."
    )


@dataclass(frozen=True, slots=True)
class Answers:
    """What is known of the questions of a sample: decisions, votes (wrong, right), auditors' opinions, people's misses.

    `misses` is the share of wrong keys that one person calls right, None if it is not known.
    """

    decided: Mapping[str, Decision]
    votes: Mapping[str, tuple[int, int]]
    auditors: Mapping[str, Opinion]
    misses: float | None


def certificates(sample: Sample, kept: pl.DataFrame, found: Answers) -> list[Certificate]:
    """One certificate for each stage of the sample, and one for all of them together if there are several.

    Args:
        sample: the sample.
        kept: `question_id`, `stage` and `stratum` of the rows that were kept when they were drawn, or are kept now if
            they were not drawn, by any judgement but people's; `now`, whether they still are.
        found: what is known of the sample's questions.
    """
    then = sum(cell.rows for cell in sample.cells if cell.kept)
    newer = max(0, kept.height - then)
    stages = sorted(kept["stage"].unique())
    groups = [(stage,) for stage in stages] + ([tuple(stages)] if len(stages) > 1 else [])
    return [_certificate(group, sample, kept.filter(pl.col("stage").is_in(group)), newer, found) for group in groups]


def _certificate(
    stages: tuple[str, ...], sample: Sample, kept: pl.DataFrame, newer: int, found: Answers
) -> Certificate:
    strata = dict(kept.select("question_id", "stratum").iter_rows())
    drawn = [one.question_id for one in sample.drawn if one.question_id in strata]
    reviewed = [key for key in drawn if key in found.decided]
    opinions = {key: found.decided[key].opinion for key in reviewed}
    wrong = [key for key in reviewed if opinions[key] is Opinion.DISAGREE]
    undecided = [key for key in reviewed if opinions[key] is not Opinion.AGREE and key not in wrong]
    misses = _missed([found.votes[key] for key in reviewed], found.misses)
    looked = _looked(strata, reviewed, {*wrong, *undecided})
    now = set(kept.filter("now")["question_id"])
    gone = {key for key in reviewed if not (found.decided[key].verdict.keep and key in now)}
    newer = min(newer, len(strata))
    unseen = most_left(looked) / (1 - (misses or 0.0))
    passed = (misses or 0.0) * (unseen + len(wrong)) * len(reviewed) / max(1, len(strata))
    rows = len(strata) - len(gone)
    most = min(rows, math.ceil(unseen + passed - 1e-9) + len(set(undecided) - gone) + newer)
    return Certificate(
        stages=stages,
        rows=rows,
        drawn=len(drawn),
        reviewed=len(reviewed),
        wrong=len(wrong),
        undecided=len(undecided),
        newer=newer,
        most=most,
        misses=misses,
        auditors=_auditors(opinions, found.auditors),
    )


def _looked(strata: Mapping[str, str], reviewed: Sequence[str], wrong: Collection[str]) -> list[Looked]:
    rows = Counter(strata.values())
    drawn, found = Counter(strata[key] for key in reviewed), Counter(strata[key] for key in wrong)
    return [Looked(count, drawn[name], found[name]) for name, count in sorted(rows.items())]


def _missed(votes: Sequence[tuple[int, int]], misses: float | None) -> float | None:
    """The share of wrong keys that a majority of the votes calls right, if each vote does with probability `misses`."""
    from scipy.stats import binom

    if misses is None or not votes:
        return None
    return sum(float(binom.cdf((no + yes - 1) // 2, no + yes, 1 - misses)) for no, yes in votes) / len(votes)


def _auditors(people: Mapping[str, Opinion], auditors: Mapping[str, Opinion]) -> Auditors | None:
    both = Counter(
        (people[key], opinion is not Opinion.AGREE)
        for key, opinion in auditors.items()
        if opinion is not Opinion.UNKNOWN and people.get(key) in (Opinion.AGREE, Opinion.DISAGREE)
    )
    if not both:
        return None
    right, wrong = (both[side, True] + both[side, False] for side in (Opinion.AGREE, Opinion.DISAGREE))
    return Auditors(right, both[Opinion.AGREE, True], wrong, both[Opinion.DISAGREE, True])
