"""What `capcurriculum download` was asked for, as a call."""

import argparse

from capcurriculum.progress import Display
from capcurriculum.terminal import say
from cards.download import run


def download(options: argparse.Namespace) -> None:
    """Bring published sets, and say what to do with them."""
    wanted = run.Wanted(options.name, options.revision, tuple(options.stage), options.to, options.val)
    target = run.download(wanted, Display())
    say(f"The sets are in {target}. Train with: capcurriculum train {target / 'recipe.yaml'}")
