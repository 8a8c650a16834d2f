"""The recipe as it is published: all that makes the data what it is, and nothing of the machines it was made on.

Where things lay, whom we asked and under which variable's name the key was is taken out by key; then every text is
looked at for what no key list can foresee: secrets, paths, and addresses with credentials or of private networks.
What is left still is a recipe, with the same identity but for the names of local files.
"""

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from capcurriculum import recipe as recipes
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.models import FREE

REDACTED = "redacted"
#: A recipe with an openai engine needs an address; nobody listens at this one.
ADDRESS = "http://127.0.0.1:8000/v1"
#: Keys that are left out, so that they take their defaults.
_LEFT_OUT = frozenset(
    {
        "runs", "ray", "python", "slurm", "api_key_env", "headers", "download", "concurrency", "timeout_seconds",
        "weights", "workspace",  # of reviewers, by their names
    }
)  # fmt: skip
#: Keys whose texts are files or folders on this machine, relative or not.
_PATHS = frozenset({"path", "images", "signatures"})

_SECRET = re.compile(
    r"\bhf_\w{8,}|\b(?:sk|pk|rk)-[\w-]{12,}|\bgh[pousr]_\w{16,}|\bgithub_pat_\w{16,}|\bAKIA[0-9A-Z]{12,}"
    r"|\bxox[abprs]-[\w-]{10,}|\bAIza[\w-]{20,}|\bBearer\s+\S{8,}|\beyJ[\w-]{10,}\.[\w-]{10,}\.",
)
_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s'\"<>]+", re.IGNORECASE)
_ABSOLUTE = re.compile(r"^(?:/|~|\.\.?(?:[/\\]|$)|[A-Za-z]:[\\/]|\\\\|file:)")
_INSIDE = re.compile(r"(?:(?<=[\s'\"=(,:])|^)(?:/|~/|[A-Za-z]:\\)[\w.+-]+[/\\][^\s'\"]*")
_PRIVATE_NAMES = (".local", ".internal", ".lan", ".intra", ".corp", ".home", ".arpa", ".localdomain", "localhost")


def published(recipe: Recipe) -> Recipe:
    """The recipe that is shown to everybody."""
    data = _walk(recipe.model_dump(mode="json"), "")
    for name, model in data["models"].items():
        # Names in there are the model's own, whatever the same names mean to us.
        model |= {key: _cleaned(getattr(recipe.models[name], key)) for key in FREE}
        if model["base_urls"]:
            model["base_urls"] = [ADDRESS]
    return recipes.parse(data, "to be published")


def _walk(value: Any, key: str) -> Any:
    match value:
        case dict():
            return {name: _walk(inner, name) for name, inner in value.items() if name not in _LEFT_OUT}
        case list():
            return [_walk(inner, key) for inner in value]
        case str() if key == "base_urls":
            return value  # replaced as a whole
        case str():
            return _last(value) if key in _PATHS else clean(value)
    return value


def _cleaned(value: Any) -> Any:
    """JSON with every text cleaned."""
    match value:
        case dict():
            return {name: _cleaned(inner) for name, inner in value.items()}
        case list():
            return [_cleaned(inner) for inner in value]
    return clean(value) if isinstance(value, str) else value


def clean(text: str) -> str:
    """A text without secrets, private addresses and paths of this machine."""
    if _SECRET.search(text):
        return REDACTED
    if _ABSOLUTE.match(text) or _is_here(text):
        return _last(text)
    without = _URL.sub(_replaced(lambda url: REDACTED if _private(url) else url), text)
    return without if "://" in without else _INSIDE.sub(_replaced(_last), without)


def _replaced(change: Callable[[str], str]) -> Callable[[re.Match[str]], str]:
    return lambda match: change(match[0])


def _last(path: str) -> str:
    """The last part of a path, which tells what it is and not where."""
    if _SECRET.search(path):
        return REDACTED
    parts = [part for part in re.split(r"[/\\]+", path) if part not in ("", ".", "..", "~")]
    return parts[-1] if parts else (REDACTED if path else "")


def _is_here(text: str) -> bool:
    """Whether a text with slashes is a file or folder here; a Hub id looks the same and is none."""
    try:
        return "/" in text and len(text) < 4096 and Path(text).exists()
    except (OSError, ValueError):
        return False


def _private(url: str) -> bool:
    """Whether an address carries credentials or parameters, or leads into a private network."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        if parts.username is not None or parts.password is not None or parts.query or parts.scheme == "file":
            return True
    except ValueError:
        return True
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(_PRIVATE_NAMES)
