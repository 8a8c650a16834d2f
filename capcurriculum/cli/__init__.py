"""`capcurriculum VERB`: the verbs in a module for each room, which import their room only when they are called.

An error that the user can mend is one sentence and exit code 2; a bug is exit code 70 and names the file with its
traceback; Ctrl-C ends with 130, SIGTERM with 143 and a closed terminal with 129, and none loses anything.
"""

import sys
from collections.abc import Sequence
from typing import Any, Literal

from cyclopts import App, CycloptsError, Group, Parameter

from capcurriculum import __version__
from capcurriculum.cli import data, evaluation, hub, mistakes, review, runs, training
from capcurriculum.cli.help_page import Columns
from capcurriculum.errors import RunError
from capcurriculum.render import terminal
from capcurriculum.unforeseen import exit_with

_VERBS: dict[str, tuple[Any, ...]] = {
    "Make data": (data.build, data.allow, data.curriculum, data.audit, data.signatures, review.app),
    "Look at a run": (runs.status, runs.funnel, runs.why, runs.query, runs.report, runs.card, runs.verify),
    "Train": (training.train, training.curves),
    "Evaluate": (evaluation.serve, evaluation.evaluate, evaluation.compare, evaluation.errors),
    "Publish and download": (hub.publish, hub.publish_model, hub.download),
}


def _install_completion(*, shell: Literal["bash", "fish", "zsh"] | None = None) -> None:
    """Install completion of verbs and options for your shell.

    Example: capcurriculum --install-completion --shell bash

    Args:
        shell: The shell (default: the one that this runs in).
    """
    from cyclopts.completion.detect import ShellDetectionError

    try:
        file = app.install_completion(shell=shell)
    except ShellDetectionError as error:
        raise RunError("It is not clear which shell this is; name it with --shell bash, fish or zsh.") from error
    terminal.say(f"Completion is in {file}; open a new shell to use it.")


def _made() -> App:
    """The command line, without any room imported."""
    made = App(
        name=mistakes.PROGRAM,
        help="Build curriculum datasets ordered by capability and train a vision-language model through them.",
        version=f"{mistakes.PROGRAM} {__version__}",
        default_parameter=Parameter(negative=(), allow_repeating=True, show_default=lambda value: value or None),
        help_formatter=Columns(),
        help_format="plaintext",
    )
    for title, verbs in _VERBS.items():
        group = Group.create_ordered(title)
        for verb in verbs:
            if isinstance(verb, App):
                verb.group = group
                made.command(verb)
            else:
                made.command(verb, group=group)
    others = Group.create_ordered("Options")
    made.command(_install_completion, name="--install-completion", group=others)
    for flag in ("--help", "--version"):
        made[flag].group = others
    return made


app = _made()


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; 0 when done, 2 with a sentence on what to mend, 70 for a bug of ours, 130 or more when stopped."""
    terminal.guard()
    words = sys.argv[1:] if argv is None else list(argv)
    if odd := [word for word in words if not word.isascii() and word != word.encode("utf-8", "replace").decode()]:
        return _refused(f"{odd[0]!r} has bytes that are no UTF-8; rename that file or folder.")
    if said := mistakes.no_verb(app, words):
        return _refused(said)
    try:
        verb, bound, _ = app.parse_args(words, print_error=False, exit_on_error=False, verbose=False)
    except CycloptsError as error:
        return _refused(mistakes.sentence(app, error))
    return exit_with(lambda: verb(*bound.args, **bound.kwargs))


def _refused(said: str) -> int:
    terminal.say(terminal.sentence(f"error: {said}"), error=True)
    return 2
