"""What the checks found, all of it and not the first fault only: each kind once, with its count and a few examples.

A finding is an error, which keeps the training from starting, a warning, or a note of what is as it was asked for and
may yet surprise. What is not known is said so; it is never taken for good.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class Severity(StrEnum):
    """Whether a finding keeps the training from starting; the gravest first."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of fault of one stage; `stage` is "" where it is of the whole training. `text` says what to mend."""

    check: str
    severity: Severity
    stage: str
    text: str
    count: int = 1
    examples: tuple[str, ...] = ()

    def sentence(self) -> str:
        """The finding in words."""
        where = f"{self.stage}: " if self.stage else ""
        rows = f"{self.count:,} rows: " if self.count > 1 else ""
        shown = "; ".join(self.examples)
        more = ", ..." if self.examples and self.count > len(self.examples) else ""
        return f"{where}{rows}{self.text}{f' ({shown}{more})' if shown else ''}."


@dataclass
class Findings:
    """Findings as they come in; of each kind the first `most` examples are kept, so memory does not grow with rows."""

    most: int = 3
    _kinds: dict[tuple[str, str, str], tuple[Severity, int, list[str]]] = field(default_factory=dict)

    def add(self, check: str, severity: Severity, text: str, stage: str = "", example: str = "") -> None:
        """Count one case of a fault; `text` is the same for all cases of it, `example` is this one."""
        # A row's own words may hold anything, also what moves a terminal's cursor.
        example = "".join(sign if sign.isprintable() else "\ufffd" for sign in example)
        _, count, examples = self._kinds.get((check, stage, text), (severity, 0, []))
        if example and len(examples) < self.most:
            examples.append(example)
        self._kinds[check, stage, text] = (severity, count + 1, examples)

    def error(self, check: str, text: str, stage: str = "", example: str = "") -> None:
        """`add` an error."""
        self.add(check, Severity.ERROR, text, stage, example)

    def warn(self, check: str, text: str, stage: str = "", example: str = "") -> None:
        """`add` a warning."""
        self.add(check, Severity.WARNING, text, stage, example)

    def note(self, check: str, text: str, stage: str = "") -> None:
        """`add` a note."""
        self.add(check, Severity.NOTE, text, stage)

    def all(self) -> list[Finding]:
        """Errors first and notes last, else in the order in which they were found."""
        found = [
            Finding(check, severity, stage, text, count, tuple(examples))
            for (check, stage, text), (severity, count, examples) in self._kinds.items()
        ]
        return sorted(found, key=lambda finding: list(Severity).index(finding.severity))

    def errors(self) -> list[Finding]:
        """Those that keep the training from starting."""
        return [finding for finding in self.all() if finding.severity == Severity.ERROR]

    def extend(self, findings: Iterable[Finding]) -> None:
        """Take over findings made elsewhere."""
        for one in findings:
            self._kinds[one.check, one.stage, one.text] = (one.severity, one.count, list(one.examples))
