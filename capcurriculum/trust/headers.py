"""HTTP headers in a recipe: their names, and where in the environment their values are, which are never written down.

A value is the name of an environment variable (`TEAM_KEY`) or a text with references to some (`Bearer ${TEAM_KEY}`).
"""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator

REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
#: Capitals alone: a token that somebody pasted seldom looks like this, and a variable's name nearly always does.
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_PLAIN = re.compile(r"[\x20-\x7e]*")
#: What the HTTP client says itself; another value would break the request.
OWNED = frozenset(
    {
        "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "expect", "host",
        "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip


def checked(headers: dict[str, str]) -> dict[str, str]:
    """Return `headers` if they can be sent and hold references in place of values.

    Raises:
        ValueError: a name is none, is given twice, or is the client's; a value does not refer to the environment. The
            value is not repeated, since it may be a secret.
    """
    seen: set[str] = set()
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise ValueError("a header's name is letters, digits and -, for example X-Team")
        if name.lower() in OWNED:
            raise ValueError(f"the header {name} is set by the engine; leave it out")
        if name.lower() in seen:
            raise ValueError(f"the header {name} is given twice")
        seen.add(name.lower())
        if not _PLAIN.fullmatch(value):
            raise ValueError(f"the header {name} holds a line break or another character that no header can")
        if not _VARIABLE.fullmatch(value) and not _refers(value):
            raise ValueError(
                f"the header {name} must name where its value is in the environment, as a variable's name in capitals "
                "or a text with ${NAME} in it: the recipe is written into the run, and a value could be a secret"
            )
    return headers


def named(variable: str) -> str:
    """Return `variable` if it is the name of an environment variable.

    Raises:
        ValueError: it is none. It is not repeated, since it may be the key itself.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,127}", variable):
        raise ValueError(
            "must name the environment variable that holds the key, for example OPENAI_API_KEY; the key itself must "
            "not stand in a recipe"
        )
    return variable


KeyVariable = Annotated[str, AfterValidator(named)]
Headers = Annotated[dict[str, str], AfterValidator(checked)]


def _refers(value: str) -> bool:
    """Whether it has references, and nothing that only looks like one."""
    return bool(REFERENCE.search(value)) and "$" not in REFERENCE.sub("", value)


def template(value: str) -> str:
    """The value with its variables as `${NAME}`, whichever way it is written."""
    return f"${{{value}}}" if _VARIABLE.fullmatch(value) else value


def variables(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """(header, variable) for every reference."""
    return [(name, variable) for name, value in headers.items() for variable in REFERENCE.findall(template(value))]
