"""How many rows of a source become no row of the run, reported before any model is asked."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from capcurriculum.reasons import Reason
from capcurriculum.rows import CaptionedImage, Question, Verdict

#: A source that loses more than this share of its rows says so.
MUCH = 0.2
#: Rows that were not selected, or of which a duplicate is kept.
_NOT_LOST = frozenset({Reason.UNSELECTED_SPLIT, Reason.UNSELECTED_PART, Reason.DUPLICATE_ROW, Reason.DUPLICATE_ID})
_SHOWN = 3


@dataclass(slots=True)
class Losses:
    """Rows of one source: how many are kept, how many are lost by reason, and one detail of each reason."""

    kept: int = 0
    passed_over: int = 0
    lost: Counter[Reason] = field(default_factory=Counter)
    details: dict[Reason, str] = field(default_factory=dict)

    def count(self, items: Iterable[CaptionedImage | Question | Verdict]) -> None:
        """Count some more of its rows."""
        for item in items:
            if not isinstance(item, Verdict):
                self.kept += 1
            elif item.reason in _NOT_LOST:
                self.passed_over += 1
            else:
                self.lost[Reason(item.reason)] += 1
                self.details.setdefault(Reason(item.reason), item.detail)

    @property
    def total(self) -> int:
        """Rows that were wanted."""
        return self.kept + self.lost.total()

    @property
    def said(self) -> Iterator[str]:
        """Warnings: that only part of a file was taken, or that more than `MUCH` of the rows are lost."""
        if Reason.INCOMPLETE_FILE in self.details:
            yield self.details[Reason.INCOMPLETE_FILE]
        if self.lost.total() > MUCH * self.total:
            yield f"{self.lost.total():,} of {self.total:,} rows are lost: {self}; `funnel` and `why` tell each"

    def __str__(self) -> str:
        """The commonest reasons, each with its count and one detail."""
        return "; ".join(
            f"{reason} {count:,} ({self.details[reason][:160]})" for reason, count in self.lost.most_common(_SHOWN)
        )
