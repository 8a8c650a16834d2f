"""What the checks found: every kind of fault once, with its count and a few examples.

A finding is an error, which keeps the training from starting, a warning, or a note on something that is as configured
but may surprise. What is unknown is reported as unknown, never taken for good.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class Severity(StrEnum):
    """Severity of a finding, the highest first; only errors keep the training from starting."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of fault in a stage; `stage` is "" if it is of the whole training. `text` says what to correct."""

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
    """Collects findings; of each kind the first `most` examples are kept, so memory does not grow with rows."""

    most: int = 3
    _kinds: dict[tuple[str, str, str], tuple[Severity, int, list[str]]] = field(default_factory=dict)

    def add(self, check: str, severity: Severity, text: str, stage: str = "", example: str = "") -> None:
        """Count one case of a fault; `text` is the same for all its cases, `example` is this one."""
        # Rows may contain anything, also terminal control sequences.
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
        """All findings, errors first and notes last, else in the order in which they were found."""
        found = [
            Finding(check, severity, stage, text, count, tuple(examples))
            for (check, stage, text), (severity, count, examples) in self._kinds.items()
        ]
        return sorted(found, key=lambda finding: list(Severity).index(finding.severity))

    def errors(self) -> list[Finding]:
        """The findings that keep the training from starting."""
        return [finding for finding in self.all() if finding.severity == Severity.ERROR]
