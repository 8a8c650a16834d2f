"""What `capcurriculum download` was asked for, as a call."""

import argparse

from capcurriculum.render.progress import Display
from capcurriculum.render.terminal import say
from hub.download import run


def download(options: argparse.Namespace) -> None:
    """Bring published sets, and say what to do with them."""
    wanted = run.Wanted(options.name, options.revision, tuple(options.stage), options.to, options.val)
    target = run.download(wanted, Display())
    say(f"The sets are in {target}. Train with: capcurriculum train {target / 'recipe.yaml'}")
