"""The `publish` and `evaluation` sections of a recipe: what becomes of a run's sets and models outside of it.

They never say what the rows are, so they are no part of a run's identity.
"""

import re
from typing import Annotated, Self

from pydantic import Field, model_validator

from capcurriculum.recipe.base import Section, named

#: What the Hub allows in the names of users and repos, apart from what `usable` looks at.
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$"
Name = Annotated[str, named(96)]


def usable(name: str) -> bool:
    """Whether the Hub takes `name` as that of a user or a repo."""
    odd = ("--" in name, ".." in name, name.endswith((".git", ".ipynb", "-", ".")))
    return bool(re.fullmatch(_NAME, name)) and not any(odd)


class PublishSection(Section):
    """Names on the Hub.

    A set goes to `<namespace>/<prefix>-<its name>-Data`. `namespace` is a user or an organization (default: whoever
    the token belongs to), `prefix` the recipe's name unless it is given, and `names` says what a set is called where
    that is not its own name in capitals (perception: Perception, text: TextReasoning, visual: VisualReasoning).
    `title` is that of the collection (default: the prefix).
    """

    namespace: Name | None = None
    prefix: Name | None = None
    names: dict[str, Name] = {}
    title: Annotated[str, Field(max_length=60)] = ""

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        if len(set(self.names.values())) < len(self.names):
            raise ValueError("names gives two sets the same name; every repo needs its own")
        if wrong := [n for n in (self.namespace, self.prefix, *self.names.values()) if n and not usable(n)]:
            raise ValueError(f"the Hub takes no name like {', '.join(wrong)} (no --, no .., no - or . at its end)")
        return self


class EvaluationSection(Section):
    """`python` is the interpreter of the environment that VLMEvalKit or lmms-eval is installed in."""

    python: str = ""
