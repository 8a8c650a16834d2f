"""An error analysis as tables and sentences, for the terminal and `errors.md`, and as `errors.json`."""

import json
from collections.abc import Iterator
from pathlib import Path

from capcurriculum.render.markdown import code, link
from capcurriculum.render.table import Name, Sheet
from capcurriculum.tables import write_atomically
from evaluation.errors.analysis import Analysis, facts
from evaluation.errors.check import Agreed
from evaluation.errors.estimate import ALL, Estimate
from evaluation.errors.kinds import ERRORS, KINDS
from evaluation.published import paper

JSON, MARKDOWN = "errors.json", "errors.md"


def write(found: Analysis, model: str, folder: Path) -> list[Path]:
    """Write both files; returns their paths."""
    parts = [f"# Errors\n\nOf {code(model)}, judged by {', '.join(map(code, found.judged.judges))}."]
    parts += [f"## {sheet.title}\n\n{sheet.markdown()}" for sheet in sheets(found)]
    parts.append("\n".join(f"- {line}" for line in notes(found)))
    parts.append(f"- The published share is that of {link(paper().paper, paper().url)}.")
    write_atomically(folder / MARKDOWN, ("\n\n".join(parts) + "\n").encode())
    write_atomically(folder / JSON, (json.dumps(facts(found, model), indent=1) + "\n").encode())
    return [folder / JSON, folder / MARKDOWN]


def sheets(found: Analysis) -> Iterator[Sheet]:
    """Tables: the share of perception, all sides, kinds, and agreement with people."""
    numbers = ("wrong", "judged", "decided errors", "perception", "share (95 %)", "if undecided", "unsure", "unknown",
               "no error")  # fmt: skip
    rows = tuple(_perception(one, found) for one in found.estimates)
    yield Sheet("Errors of perception among wrong answers", ("benchmark", *numbers), numbers, rows)
    if found.estimates:
        yield _sides(found.estimates[-1])
        yield _kinds(found.estimates)
    if found.agreements:
        columns = ("of", "same", "decided by both", "agreement (95 %)", "alpha")
        yield Sheet("Judge and people", columns, columns[1:], tuple(map(_agreed, found.agreements)))


def _perception(one: Estimate, found: Analysis) -> tuple[str, ...]:
    own = one.perception
    wrong = sum(len(own.cases) for name, own in found.wrong.items() if one.of in (name, ALL))
    undecided = one.unsure + one.unknown
    counts = (one.cases, own.errors, own.count)
    return (_named(one), f"{wrong:,}", *(f"{count:,}" for count in counts),
            _share(own.share, own.low, own.high), f"{own.least:.1%} to {own.most:.1%}" if undecided else "",
            f"{one.unsure:,}", f"{one.unknown:,}", f"{one.no_error:,}")  # fmt: skip


def _sides(one: Estimate) -> Sheet:
    rows = tuple((str(s.side), f"{s.count:,}", _share(s.share, s.low, s.high)) for s in one.shares)
    return Sheet("What the errors are", ("side", "errors", "share (95 %)"), ("errors", "share (95 %)"), rows)


def _kinds(found: tuple[Estimate, ...]) -> Sheet:
    """Counts by kind; `open` are errors with a side and without a clear kind."""
    names = [name for name, (side, _) in KINDS.items() if side in ERRORS]
    columns = (*(name.replace("_", " ") for name in names), "open")
    rows = []
    for one in found:
        counts = [one.kinds.get(name, 0) for name in names]
        opened = sum(share.count for share in one.shares) - sum(counts)
        rows.append((_named(one), *(f"{count:,}" for count in (*counts, opened))))
    return Sheet("Kinds of errors", ("benchmark", *columns), columns, tuple(rows))


def _named(one: Estimate) -> str:
    return one.of if one.of == ALL else Name(one.of)


def _agreed(one: Agreed) -> tuple[str, ...]:
    alpha = "unknown" if one.alpha is None else f"{one.alpha:.2f}"
    return one.asked, f"{one.same:,}", f"{one.both:,}", _share(one.share, one.low, one.high), alpha


def _share(share: float | None, low: float, high: float) -> str:
    return "unknown" if share is None else f"{share:.1%} ({low:.1%} to {high:.1%})"


def notes(found: Analysis) -> Iterator[str]:
    """Sentences that explain the numbers."""
    judged = found.judged
    yield (
        f"Every case has {judged.votes} votes of each judge; more than half of the readable ones decide, and a tie is "
        "unsure. Unsure, unknown and no error are in no share; intervals account for several errors on one image."
    )
    unparsed, unknown = (sum(getattr(one, name) for one in found.wrong.values()) for name in ("unparsed", "unknown"))
    if unparsed or unknown:
        yield f"Besides the wrong answers there are {unparsed:,} replies without an answer, and {unknown:,} unknown."
    if found.unreadable or found.failed or found.missing:
        yield (
            f"Of the votes {found.unreadable:,} could not be read, {found.failed:,} failed and {found.missing:,} are "
            f"missing{'; the same command asks again for those that failed' if found.failed else ''}."
        )
    if found.gone:
        yield f"{found.gone:,} judged cases are no longer among the wrong answers and are left out."
    if judged.votes * len(judged.judges) > 1:
        alphas = ", ".join(f"{name} {'unknown' if v is None else f'{v:.2f}'}" for name, v in found.alpha.items())
        yield f"Krippendorff's alpha over the votes: {alphas}."
    if found.checked:
        yield f"{found.people} people checked {found.checked:,} of the judged cases."
    if found.corrected:
        own = found.corrected
        yield (
            f"Corrected by people, the share of perception is {_share(own.share, own.low, own.high)}: double sampling "
            f"with the {own.people} cases that people decided."
        )
    published = paper().perception_errors
    yield (
        f"Published, not measured by us: {published.share_of_wrong_answers:.1%} of the wrong answers of "
        f"{published.base}, by another protocol; people agreed in {published.agreement_with_people:.1%} of "
        f"{published.people_checked}."
    )
