"""The command line's application, and how a function becomes one of its verbs."""

from collections.abc import Callable
from typing import Any, TypeVar

from cyclopts import App, Group, Parameter

from capcurriculum import __version__
from capcurriculum.cli.help_page import Columns

PROGRAM = "capcurriculum"
F = TypeVar("F", bound=Callable[..., None])

DATA, RUNS, TRAIN, EVALUATE, HUB, OPTIONS = map(
    Group.create_ordered, ("Make data", "Look at a run", "Train", "Evaluate", "Publish and download", "Options")
)
app = App(
    name=PROGRAM,
    help="Build curriculum datasets ordered by capability and train a vision-language model through them.",
    version=f"{PROGRAM} {__version__}",
    default_parameter=Parameter(negative=(), allow_repeating=True, show_default=lambda value: value or None),
    help_formatter=Columns(),
    help_format="plaintext",
)
for flag in ("--help", "--version"):
    app[flag].group = OPTIONS


def verb(example: str, group: Group | None = None, name: str | None = None, of: App = app) -> Callable[[F], F]:
    """Make the function below a verb of `of`, in a group of its help, with an example of what is typed."""
    below = "" if of is app else f"{of.name[0]} "
    more: dict[str, Any] = {"group": group} if group else {}
    made: Callable[[F], F] = of.command(name=name, help_epilogue=f"Example: {PROGRAM} {below}{example}", **more)
    return made


def verbs(*chain: str) -> list[str]:
    """The names of the verbs, or of those below the verbs in `chain`, in alphabetical order."""
    at = app
    for word in chain:
        if word.startswith("-") or word not in at:
            return []
        at = at[word]
    return sorted(word for word in at if not word.startswith("-"))
