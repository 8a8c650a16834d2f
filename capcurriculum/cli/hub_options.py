"""The options of the verbs that talk to the Hub, apart from the room that carries them out: `--help` stays light."""

import argparse
from pathlib import Path


def publish(parser: argparse.ArgumentParser) -> None:
    """Of `capcurriculum publish`; `hub.publish.command` reads them."""
    add = parser.add_argument
    add("run", help="a run folder, a run's name below runs/, or a recipe file")
    add("--namespace", metavar="NAME", help="user or organization (default: the recipe's, else the token's owner)")
    add("--private", action="store_true", help="make repos that are not there yet private")
    add("--dry-run", action="store_true", help="only write the folders that would be sent, and ask nothing of the Hub")
    add("--order", default="", metavar="NAME", help="an order below curricula/ (default: the plain stages)")
    add("--one-repo", action="store_true", help="one repo with a configuration for each set, instead of a repo each")
    add("--overwrite", action="store_true", help="also where the repo holds something else")
    add("--no-collection", action="store_true", help="make no collection of the repos")
    add("--tag", default="", help="tag what was published, for example v1")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--branch", default="", help="publish to this branch instead of main")
    where.add_argument(
        "--pr", action="store_true", help="open a pull request instead of changing main, or go on with it"
    )


def model(parser: argparse.ArgumentParser) -> None:
    """Of `capcurriculum publish-model`; `hub.publish.command` reads them."""
    add = parser.add_argument
    add("checkpoint", type=Path, help="a folder with safetensors, for example runs/demo/training/visual/checkpoint")
    add("--repo", required=True, metavar="NAME", help="where to, as namespace/name")
    add("--private", action="store_true", help="make a repo that is not there yet private")
    add("--dry-run", action="store_true", help="only write the folder that would be sent, and ask nothing of the Hub")
    add("--overwrite", action="store_true", help="also where the repo holds something else")
    add("--tag", default="", help="tag what was published, for example v1")


def download(parser: argparse.ArgumentParser) -> None:
    """Of `capcurriculum download`; `hub.download.command` reads them."""
    add = parser.add_argument
    add("name", help="namespace/prefix, a repo's id, or a collection's slug; for example UCSC-VLAA/VLM-CapCurriculum")
    add("--revision", default="", help="a tag, a branch or a commit (default: main)")
    add("--stage", action="append", default=[], help="only this stage (may be repeated)")
    add("--to", type=Path, metavar="DIR", help="the run folder to make (default: runs/<prefix>)")
    add("--val", type=float, default=0.01, help="of data without a validation split: the share held out (default 0.01)")
