"""The options of `capcurriculum curriculum`, apart from the room that carries them out so that `--help` stays light."""

import argparse


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the options; `curricula.command` reads them."""
    add = parser.add_argument
    add("--order", required=True, help="an order of the recipe's `curriculum`, or a kind: merged, difficulty, ...")
    add("--name", help="the folder below curricula/ (default: one that says the parameters)")
    add(
        "--stages",
        help="which stages in which order, by number or name: 2-1-3, or text-perception; capabilities count from 4",
    )
    add("--reverse", action="store_true", help="hard to easy")
    add("--by", choices=("stage", "source", "skill"), help="what an interleaved order mixes (default: stages)")
    add("--proportions", help="of an interleaved order: perception=1,text=2,visual=1 (default: as many as there are)")
    add("--replay", type=float, help="the share of each earlier stage mixed into a later one, for example 0.1")
    add("--balance", help="batches with equal shares, as by:batch, for example skill:512")
    add("--epochs", type=int, help="files for this many epochs, each with draws of its own")
