"""From what the rows hold to findings and numbers: faults, lengths, the balance of the key, rows that are too long."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_uppercase

import numpy as np

from capcurriculum.errors import RunError
from capcurriculum.ledger import flat_rates
from training.preflight.findings import Findings, Severity
from training.preflight.rows.measure import image_tokens_of, tokens_of
from training.preflight.rows.row import FAULTS
from training.preflight.rows.slices import Overlong, Seen
from training.stage_files import StageFiles

#: Keys less probable than this are warned of.
UNEVEN = 0.001


@dataclass(frozen=True, slots=True)
class Balance:
    """How often each letter is right, and the probability `p` of so uneven a key or a worse one if all are equal."""

    counts: dict[str, int]
    chi_square: float
    p: float


@dataclass
class StageReport:
    """What was found of a set. `rows` and `val_rows` are those that the trainer will read, `tokens` of its prompts.

    `checked` rows of `overlong + rows + val_rows` were not known from before; `seconds` is what looking took.
    """

    rows: int
    val_rows: int
    limit: int
    policy: str
    tokens: dict[str, float] = field(default_factory=dict)
    image_tokens: float = 0.0
    overlong: int = 0
    balance: Balance | None = None
    checked: int = 0
    seconds: float = 0.0


def note_faults(stage: str, seen: Sequence[Seen], findings: Findings) -> None:
    """Each kind of fault with its rows."""
    for one in seen:
        for row, question_id, check, detail in one.faults:
            named = f", {question_id}" if question_id else ""
            said = f": {detail}" if detail else ""
            findings.error(check, FAULTS[check], stage, f"{one.part.path.name}, row {row}{named}{said}")


def note_lengths(stage: str, seen: Sequence[Seen], report: StageReport, findings: Findings) -> None:
    """How long the prompts are."""
    tokens = tokens_of(seen)
    counted = tokens[tokens > 0]
    if not len(counted):
        return
    low, half, high, most = (float(np.quantile(counted, q, method="higher")) for q in (0, 0.5, 0.99, 1))
    report.tokens = {"min": low, "mean": float(counted.mean()), "p50": half, "p99": high, "max": most}
    report.image_tokens = float(image_tokens_of(seen).sum() / len(counted))
    if low == most and len(counted) > 1:
        findings.warn(
            "same_length",
            f"every prompt has {most:.0f} tokens, and verl 0.9.1 stops at a batch whose replies are alike in it too",
            stage,
        )


def note_balance(
    stage: str, train: Sequence[Seen], limit: float | None, report: StageReport, findings: Findings
) -> None:
    """Whether some letters are right more often than chance allows; under the recipe's limit that is an error."""
    letters: Counter[tuple[int, int]] = Counter()
    for one in train:
        letters.update(one.letters)
    report.balance = found = balance(letters)
    if found is None or found.p >= max(UNEVEN, limit or 0.0):
        return
    counts = ", ".join(f"{letter} {count}" for letter, count in found.counts.items())
    severity = Severity.ERROR if limit is not None and found.p < limit else Severity.WARNING
    findings.add(
        "balance",
        severity,
        f"right answers favour some letters ({counts}; chi-square {found.chi_square:.1f}, p {found.p:.2g}), which can "
        f"be learned without looking; balance the set (docs/curricula.md)",
        stage,
    )


def note_rates(files: StageFiles, rows: Sequence[Overlong], findings: Findings) -> None:
    """Training rows that will give no gradient at first, but for `rows`, which are left out."""
    without: dict[int, set[int]] = {}
    for row in rows:
        without.setdefault(row.number, set()).add(row.row)
    try:
        found = flat_rates.in_files(files.train, without)
    except RunError as error:
        findings.error("pass_rates", f"pass rates could not be read: {str(error).rstrip('.')}", files.stage)
        return
    for check, text in (("no_gradient", found.no_gradient()), ("unknown_rates", found.unmeasured())):
        if text:
            findings.note(check, text, files.stage)


def note_refused(files: StageFiles, rows: Sequence[Overlong], report: StageReport, findings: Findings) -> None:
    """Overlong rows that the recipe gives no way to train on."""
    paths = [*files.train, *files.val]
    why = "" if report.policy == "refuse" else ", by their text alone or at the smallest picture the processor allows"
    ways = "drop or downscale" if report.policy == "refuse" else "drop"
    text = (
        f"prompts have more than {report.limit} tokens (max_prompt_tokens){why}; raise it, or set "
        f"training.preflight.overlong to {ways}"
    )
    for row in rows:
        where = f"{paths[row.number].name}, row {row.row}, {row.question_id}"
        findings.error("overlong", text, files.stage, f"{where}: {row.tokens}")


def note_changed(files: StageFiles, rows: Sequence[Overlong], report: StageReport, findings: Findings) -> None:
    """Overlong rows that are left out or get smaller pictures, and what remains."""
    if report.policy == "drop":
        in_train = sum(row.number < len(files.train) for row in rows)
        report.rows -= in_train
        report.val_rows -= len(rows) - in_train
        text = (
            f"prompts have more than {report.limit} tokens and are left out; {report.rows:,} training and "
            f"{report.val_rows:,} validation rows remain"
        )
        if not report.val_rows:
            findings.error("overlong", "no validation row is short enough; raise max_prompt_tokens", files.stage)
    else:
        text = f"prompts have more than {report.limit} tokens and get smaller pictures"
    for row in rows:
        findings.warn("overlong", text, files.stage, f"{row.question_id}: {row.tokens}")


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
