"""The `publish` section of a recipe: what a run's sets are called on the Hub.

It says where results go and never what they are, so it is no part of a run's identity.
"""

import re
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

#: What the Hub allows in the names of users and repos, apart from what `usable` looks at.
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$"
Name = Annotated[str, Field(pattern=_NAME)]


def usable(name: str) -> bool:
    """Whether the Hub takes `name` as that of a user or a repo."""
    odd = ("--" in name, ".." in name, name.endswith((".git", ".ipynb", "-", ".")))
    return bool(re.fullmatch(_NAME, name)) and not any(odd)


class PublishSection(BaseModel):
    """Names on the Hub.

    A set goes to `<namespace>/<prefix>-<its name>-Data`. `namespace` is a user or an organization (default: whoever
    the token belongs to), `prefix` the recipe's name unless it is given, and `names` says what a set is called where
    that is not its own name in capitals (perception: Perception, text: TextReasoning, visual: VisualReasoning).
    `title` is that of the collection (default: the prefix).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

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
