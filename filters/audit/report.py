"""Print the rates of wrong labels that an audit found."""

from rich.console import Console

from capcurriculum.ledger.show import grid
from capcurriculum.render.terminal import visible
from filters.audit.noise import Rate
from filters.audit.run import Report

_NUMBERS = ("rows", "asked", "wrong", "unknown", "share", "95 %")


def show(report: Report, console: Console) -> None:
    """One line a stratum, then what the numbers mean."""
    console.print(grid(("stratum", *_NUMBERS), map(_row, report.rates), _NUMBERS))
    said = f"Opinions of {', '.join(report.askers)}; their own mistakes are in the rates."
    if not report.independent:
        said += " Who filtered a run finds little wrong in what is kept of it: name another auditor with --model."
    console.print(visible(said), markup=False, highlight=False, soft_wrap=True)


def _row(rate: Rate) -> tuple[object, ...]:
    asked = rate.right + rate.wrong + rate.unknown
    share = "unknown" if rate.share is None else f"{rate.share:.1%}"
    return rate.stratum, rate.rows, asked, rate.wrong, rate.unknown, share, f"{rate.low:.1%}-{rate.high:.1%}"
