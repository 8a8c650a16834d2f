"""The options of `capcurriculum compare` and `errors`, apart from the room that carries them out."""

import argparse
from pathlib import Path

from capcurriculum.cli.evaluate_options import ALLOW

_MODEL = "a label in the results, or FOLDER or FOLDER:LABEL; a folder is an evaluation's, or a run by name or folder"


def compare(parser: argparse.ArgumentParser) -> None:
    """What `evaluation.compare.command` reads."""
    parser.add_argument("model", nargs="+", help=f"two models or more, the first to compare with: {_MODEL}")
    _results(parser)
    parser.add_argument(
        "--published",
        metavar="BASE",
        help="show the paper's numbers of this base model, or none (default: all of the benchmarks measured)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="where to write tables and plots (default: below the results)"
    )


def errors(parser: argparse.ArgumentParser) -> None:
    """What `evaluation.errors.command` reads."""
    add = parser.add_argument
    add("model", help=_MODEL)
    _results(parser)
    add("--benchmark", action="append", default=[], metavar="B", help="only this benchmark (may be repeated)")
    judging = parser.add_argument_group("judging (without a judge: what was judged before is told again)")
    add = judging.add_argument
    add("--judge", action="append", default=[], metavar="J", help="a recipe's model, or MODEL@URL (may be repeated)")
    add("--recipe", type=Path, metavar="FILE", help="where the judge's model is (default: the run of the results)")
    add("--allow", action="store_true", help=ALLOW)
    add("--votes", type=_positive, default=3, metavar="N", help="votes of each judge on each answer (default 3)")
    add("--size", type=_positive, metavar="N", help="judge N wrong answers drawn at random (default: all)")
    add("--seed", type=int, default=0, help="another seed draws other answers")
    add("--temperature", type=float, metavar="T", help="of a vote (default 0, the kinds in another order in each)")
    add("--max-tokens", type=_positive, default=512, metavar="N", help="of a vote (default 512)")
    checking = parser.add_argument_group("people who check the judge")
    add = checking.add_argument
    add("--check-size", type=_positive, default=40, metavar="N", help="answers that people look at (default 40)")
    add("--export", type=Path, metavar="FILE", help="write them as a page that any browser opens")
    add("--check", type=Path, nargs="+", metavar="FILE", help="read the answers that such a page saved")
    add("--push", action="store_true", help="put them on an Argilla server (ARGILLA_API_URL, ARGILLA_API_KEY)")
    add("--pull", action="store_true", help="get the answers from the Argilla server")
    add("--overlap", type=_positive, default=1, metavar="N", help="people who must answer each (default 1)")
    text = "whose page --export writes, or whose answers --check reads unsigned; --push makes this person if need be"
    add("--annotator", action="append", default=[], metavar="NAME", help=text)
    add("--create-workspace", action="store_true", help="make the workspace if need be")


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def _results(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--in", dest="results", metavar="FOLDER", help="where the labels are: an evaluation, or a run")
