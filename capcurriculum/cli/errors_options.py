"""The options of `errors`, declared once: the verb parses these records and `evaluation.errors.command` reads them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from capcurriculum.cli.options import Allow, Names, Positive, Real, Whole, opt


@Parameter("*", group=Group("Judges (without one, earlier votes are reported again)", sort_key=1))
@dataclass(frozen=True)
class Judging:
    """Which judges vote on which wrong answers; without a judge there are no new votes."""

    judge: Annotated[Names, opt("A recipe's model, or MODEL@URL (may be repeated)")] = ()
    recipe: Annotated[Path | None, opt("The recipe with the model (default: the run's)")] = None
    allow: Allow = False
    votes: Annotated[Positive, opt("Votes of each judge on each answer")] = 3
    size: Annotated[Positive | None, opt("Judge this many, drawn at random (default: all)")] = None
    seed: Annotated[Whole, opt("Another seed draws other answers")] = 0
    temperature: Annotated[Real | None, opt("Of a vote (default: 0, or 0.7 for many votes)")] = None
    max_tokens: Annotated[Positive, opt("The most tokens of a vote")] = 512


@Parameter("*", group=Group("People who check the judges", sort_key=2))
@dataclass(frozen=True)
class Checking:
    """How people check a sample of the judged answers."""

    check_size: Annotated[Positive, opt("The number of answers that people look at")] = 40
    export: Annotated[Path | None, opt("Write them as a page for any browser to this file")] = None
    check: Annotated[tuple[Path, ...], opt("Read answers that pages saved", consume_multiple=1)] = ()
    push: Annotated[bool, opt("Put them on an Argilla server (see `review push`)")] = False
    pull: Annotated[bool, opt("Fetch the responses from the Argilla server")] = False
    overlap: Annotated[Positive, opt("How many people must answer each")] = 1
    annotator: Annotated[Names, opt("Whose page --export writes, whose unsigned answers --check reads, or whose "
                                    "account --push makes")] = ()  # fmt: skip
    create_workspace: Annotated[bool, opt("Make the workspace if there is none")] = False
