"""The options of `capcurriculum review`, apart from the room that carries them out so that `--help` stays light."""

import argparse
from collections.abc import Callable
from pathlib import Path

_RUN = "a run folder, a run's name below runs/, or a recipe file"


def declare(parser: argparse.ArgumentParser, call: Callable[[argparse.Namespace], None]) -> None:
    """Add the tasks and their options; `review.command` reads them."""
    tasks = parser.add_subparsers(dest="task", required=True, metavar="TASK")

    def task(name: str, text: str) -> argparse.ArgumentParser:
        added = tasks.add_parser(name, help=text, description=text)
        added.set_defaults(call=call)
        added.add_argument("run", help=_RUN)
        return added

    export = task("export", "write a page with a sample of questions, to be reviewed in any browser without a server")
    export.add_argument("--out", type=Path, metavar="FILE", help="the HTML file (default: review.html in the run)")
    export.add_argument("--annotator", metavar="NAME", help="whose page it is: it signs what it saves with this name")
    _sampling(export)
    push = task("push", "put a sample of questions on an Argilla server (ARGILLA_API_URL, ARGILLA_API_KEY)")
    push.add_argument("--overlap", type=int, default=1, help="how many people must answer each question (default 1)")
    push.add_argument("--annotator", action="append", default=[], metavar="NAME", help="make this person if need be")
    push.add_argument("--create-workspace", action="store_true", help="make the recipe's review.workspace if need be")
    _sampling(push)
    task("pull", "get everybody's responses from the Argilla server, and judge by them")
    task("status", "how far reviewers are, by person and by stratum")
    read = task("import", "read the answers that a page saved, and judge by them")
    read.add_argument("file", type=Path, nargs="+", help="a .jsonl file that a page saved, one person's")
    text = "take answers that no page of this run signed as this person's (what a page signed says whose it is)"
    read.add_argument("--annotator", metavar="NAME", help=text)


def _sampling(parser: argparse.ArgumentParser) -> None:
    """Which questions; nothing said means those under review already, or the defaults named here."""
    group = parser.add_argument_group("the sample (default: the one that there is)")
    group.add_argument("--size", type=int, help="how many questions (default 200); a larger size adds the difference")
    group.add_argument("--width", type=float, help="instead: as many as make the 95 %% interval so wide, as 0.06")
    group.add_argument("--expect", type=float, default=0.1, help="the share of wrong keys that --width reckons with")
    group.add_argument(
        "--design", choices=("random", "stratified", "uncertain"), help="how they are drawn (default stratified)"
    )
    group.add_argument("--by", help="strata: some of fate,skill,source,band,stage (default fate: kept, or why dropped)")
    group.add_argument("--stage", action="append", default=[], help="only this stage (may be repeated)")
    group.add_argument("--seed", type=int, help="another seed draws another sample (default 0)")
