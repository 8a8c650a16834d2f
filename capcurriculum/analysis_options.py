"""The options of `capcurriculum compare`, apart from the room that carries them out."""

import argparse
from pathlib import Path

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


def _results(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--in", dest="results", metavar="FOLDER", help="where the labels are: an evaluation, or a run")
