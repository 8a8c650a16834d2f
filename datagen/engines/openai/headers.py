"""The further HTTP headers of a model with their values out of the environment, and error texts without any of them."""

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from capcurriculum.errors import EngineError
from capcurriculum.recipe.models import DEFAULT_KEY, ModelSection
from capcurriculum.trust.headers import REFERENCE, template, variables

HIDDEN = "[key]"
#: Where no request goes without a key.
_OPENAI = "https://api.openai.com/"
_SENDABLE = re.compile(r"[\x20-\x7e]*")


@dataclass(frozen=True, slots=True)
class Headers:
    """What is sent, by name, and every text in it that came from the environment. Never printed."""

    values: Mapping[str, str]
    secrets: frozenset[str]

    def __repr__(self) -> str:
        return f"Headers({', '.join(self.values)})"


def resolve(section: ModelSection) -> Headers:
    """The headers of a recipe's model.

    Raises:
        EngineError: a variable is not set, or holds what no header can; the sentence holds no value.
    """
    found: dict[str, str] = {}
    for name, variable in variables(section.headers):
        value = found[variable] = os.environ.get(variable, "").strip(" ")
        # One that is written alone may be a value in the wrong place, so it is not repeated.
        which = f" {variable}" if REFERENCE.search(section.headers[name]) else ""
        where = f"the header {name} of the model {section.model}"
        if not value:
            raise EngineError(f"The environment variable{which} that {where} names is not set; set it and run again.")
        if not _SENDABLE.fullmatch(value):
            raise EngineError(
                f"The environment variable{which} that {where} names holds a line break or another character that no "
                "header can; set it anew."
            )
    values = {
        name: REFERENCE.sub(lambda reference: found[reference[1]], template(value))
        for name, value in section.headers.items()
    }
    return Headers(values, frozenset({*found.values(), *values.values()}))


def check(sections: Iterable[ModelSection]) -> None:
    """Check, before anything is asked, that the variables of the models' headers and keys are set.

    Raises:
        EngineError: one is not.
    """
    for section in sections:
        resolve(section)
        if section.engine == "openai":
            _check_key(section)


def _check_key(section: ModelSection) -> None:
    """Most servers of one's own want no key, so the usual variable may be missing, but not for OpenAI itself."""
    variable = section.api_key_env
    needed = variable != DEFAULT_KEY or any(url.startswith(_OPENAI) for url in section.base_urls)
    if needed and not os.environ.get(variable):
        # A name in small letters may be the key itself, so it is not repeated.
        which = f" {variable}" if variable.isupper() else ""
        raise EngineError(
            f"The environment variable{which} that api_key_env of the model {section.model} names is not set; set it "
            "to the endpoint's key and run again, or leave api_key_env out if the endpoint wants none."
        )


class Redactor:
    """Takes secrets out of what others say, in every spelling that an error's text gives them."""

    def __init__(self, secrets: Iterable[str]) -> None:
        spelled = {spelling for secret in secrets for spelling in _spellings(secret)}
        longest_first = sorted(spelled - {""}, key=lambda text: (-len(text), text))
        self._found = re.compile("|".join([*map(re.escape, longest_first), r"\b(?:Bearer|Basic) \S+"]))

    def line(self, text: str) -> str:
        """The text on one line, without them."""
        return self._found.sub(HIDDEN, " ".join(text.split()))


def _spellings(secret: str) -> Iterable[str]:
    """Itself on one line; as JSON; as Python shows a text, with its quotes escaped or not."""
    backslashed = secret.replace("\\", "\\\\")
    for spelling in (secret, json.dumps(secret)[1:-1], backslashed, backslashed.replace("'", "\\'")):
        yield " ".join(spelling.split())
