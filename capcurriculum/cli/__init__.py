"""`capcurriculum VERB`: the verbs in a module for each room, which import their room only when they are called.

An error that the user can mend is one sentence and exit code 2; a bug is exit code 70 and names the file with its
traceback; Ctrl-C ends with 130, SIGTERM with 143 and a closed terminal with 129, and none loses anything.
"""

import sys
from collections.abc import Sequence
from typing import Annotated, Literal

from cyclopts import CycloptsError

from capcurriculum.cli import data, evaluation, hub, mistakes, review, runs, training
from capcurriculum.cli.app import OPTIONS, app, verb
from capcurriculum.cli.options import opt
from capcurriculum.errors import RunError
from capcurriculum.render import terminal
from capcurriculum.unforeseen import exit_with

__all__ = ["app", "main"]

#: Importing them declares their verbs.
_ROOMS = (data, evaluation, hub, review, runs, training)


@verb("--install-completion --shell bash", OPTIONS, "--install-completion")
def _install_completion(
    *, shell: Annotated[Literal["bash", "fish", "zsh"] | None, opt("The shell (default: the present one)")] = None
) -> None:
    """Install completion of verbs and options for your shell."""
    from cyclopts.completion.detect import ShellDetectionError

    try:
        file = app.install_completion(shell=shell)
    except ShellDetectionError as error:
        raise RunError("It is not clear which shell this is; name it with --shell bash, fish or zsh.") from error
    except OSError as error:
        raise RunError(f"Completion cannot be installed ({error}); take the rights to that file.") from error
    terminal.say(f"Completion is in {file}; open a new shell to use it.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; 0 when done, 2 with a sentence on what to mend, 70 for a bug of ours, 130 or more when stopped."""
    terminal.guard()
    words = sys.argv[1:] if argv is None else list(argv)
    if odd := [word for word in words if not word.isascii() and word != word.encode("utf-8", "replace").decode()]:
        return _refused(f"{odd[0]!r} has bytes that are no UTF-8; rename that file or folder.")
    if said := mistakes.no_verb(words):
        return _refused(said)
    try:
        called, bound, _ = app.parse_args(words, print_error=False, exit_on_error=False, verbose=False)
    except CycloptsError as error:
        return _refused(mistakes.sentence(error))
    return exit_with(lambda: called(*bound.args, **bound.kwargs))


def _refused(said: str) -> int:
    terminal.say(terminal.sentence(f"error: {said}"), error=True)
    return 2
