"""Turn what the rows hold into findings and numbers: faults, lengths, balance of the key, and overlong rows."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_uppercase

import numpy as np

from capcurriculum.errors import RunError
from capcurriculum.ledger import flat_rates
from training.preflight.findings import Findings, Severity
from training.preflight.rows.captioned import CaptionData
from training.preflight.rows.measure import image_tokens_of, tokens_of
from training.preflight.rows.row import FAULTS
from training.preflight.rows.slices import Overlong, Seen
from training.stage_files import StageFiles

#: A less probable key gets a warning.
UNEVEN = 0.001


@dataclass(frozen=True, slots=True)
class Balance:
    """How often each letter is the key, and the probability `p` of such imbalance if all are equally likely."""

    counts: dict[str, int]
    chi_square: float
    p: float


@dataclass
class StageReport:
    """The numbers of a set: rows that the trainer will read, and tokens per prompt.

    `checked` rows of `overlong + rows + val_rows` were not in the cache; `seconds` is the time of the check.
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
    """Note each kind of fault with examples of its rows."""
    for one in seen:
        for row, question_id, check, detail in one.faults:
            name = f", {question_id}" if question_id else ""
            more = f": {detail}" if detail else ""
            findings.error(check, FAULTS[check], stage, f"{one.part.path.name}, row {row}{name}{more}")


def note_lengths(stage: str, seen: Sequence[Seen], report: StageReport, findings: Findings) -> None:
    """Report the lengths of the prompts."""
    report.tokens = _quantiles(seen)
    if not report.tokens:
        return
    counted, most = np.count_nonzero(tokens_of(seen)), report.tokens["max"]
    report.image_tokens = float(image_tokens_of(seen).sum() / counted)
    if report.tokens["min"] == most and counted > 1:
        findings.warn(
            "same_length",
            f"every prompt has {most:.0f} tokens, and verl 0.9.1 stops at a batch whose replies are alike in it too",
            stage,
        )


def note_captions(data: CaptionData, seen: Sequence[Seen], report: StageReport, findings: Findings) -> None:
    """Note the faults and report the lengths of a set that trains on captions."""
    paths, stage = [*data.taught.train, *data.taught.val], data.taught.stage
    note_faults(stage, seen, findings)
    rows = [row for one in seen for row in one.overlong]
    for row in sorted(rows, key=lambda row: -row.tokens):
        findings.error(
            "long_caption",
            f"prompt and caption together have more than {data.limit} tokens, at which the trainer stops; raise "
            f"training.knobs.max_response_tokens, lower max_pixels, or leave the rows out by a filter",
            stage,
            f"{paths[row.number].name}, row {row.row}, {row.question_id}: {row.tokens} tokens, "
            f"{row.image_tokens} of them for the picture",
        )
    report.tokens = _quantiles(seen)
    report.checked = sum(one.checked for one in seen)
    report.overlong = len(rows)
    report.val_rows = sum(one.checked for one in seen if one.part.number >= len(data.taught.train))
    report.rows = report.checked - report.val_rows


def _quantiles(seen: Sequence[Seen]) -> dict[str, float]:
    """Quantiles and mean of the tokens per prompt, over the rows whose tokens were counted; {} if there are none."""
    tokens = tokens_of(seen)
    tokens = tokens[tokens > 0]
    if not len(tokens):
        return {}
    low, half, high, most = (float(np.quantile(tokens, q, method="higher")) for q in (0, 0.5, 0.99, 1))
    return {"min": low, "mean": float(tokens.mean()), "p50": half, "p99": high, "max": most}


def note_balance(
    stage: str, train: Sequence[Seen], limit: float | None, report: StageReport, findings: Findings
) -> None:
    """Note if some letters are the key more often than by chance; an error below the recipe's `limit` of p."""
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


def note_rates(files: StageFiles, dropped: Sequence[Overlong], findings: Findings) -> None:
    """Note training rows that give no gradient at first, except those that are dropped."""
    without: dict[int, set[int]] = {}
    for row in dropped:
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
    """Note overlong rows for which the recipe has no remedy."""
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
    """Note overlong rows that are dropped or get smaller images, and the rows that remain."""
    text = f"prompts have more than {report.limit} tokens and get smaller pictures"
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
    for row in rows:
        findings.warn("overlong", text, files.stage, f"{row.question_id}: {row.tokens}")


def balance(letters: Mapping[tuple[int, int], int]) -> Balance | None:
    """Pearson's chi-square test of (index of the key, number of options) -> count; None without questions.

    For questions with different numbers of options, statistics and degrees of freedom add up.
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
