"""What a push and a pull tell the user, line by line."""

from collections.abc import Iterator

from review.argilla import pull, push
from review.argilla.push import Wanted


def pushed(report: push.Report, url: str, wanted: Wanted) -> Iterator[str]:
    """What became of a push."""
    known = f", {report.known} were there before" if report.known else ""
    yield f"{report.new} records are new in {report.dataset} on {url}{known}."
    if report.unreadable:
        yield f"{report.unreadable} have no picture, because it cannot be read."
    if report.overlap != wanted.overlap:
        yield f"Each needs {report.overlap} answers, as the dataset was made; Argilla's settings page changes that."
    for account in report.accounts:
        yield f"{account.username} can sign in with the password {account.password}, which is shown this once."


def pulled(report: pull.Report) -> Iterator[str]:
    """What became of a pull, and of the server since the last one."""
    yield f"{report.new} new reviews from {report.dataset}, {report.known} known before."
    told = (
        (report.withdrawn, "were taken back by those who had given them"),
        (report.to_edited, "are about records that were changed on the server; they are kept, and do not count"),
        (report.unusable, "hold no answer that could be read, and were left out"),
    )
    for count, what in told:
        if count:
            yield f"  {count} responses {what}"
    if report.edited:
        yield f"  {report.edited} records show something else on the server than what was pushed"
    if report.deleted:
        yield f"  {report.deleted} records that were pushed are no longer there; what was said of them stays"
    if report.strange:
        yield f"  {report.strange} records were not pushed from this run, and were left out"
    if report.left:
        yield f"  {report.left} people are no longer on the server; what they said stays"
