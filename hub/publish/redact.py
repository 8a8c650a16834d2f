"""The recipe as it is published: everything that determines the data, nothing about the machines it was built on.

Known keys with paths, addresses and names of variables are removed; then every string is searched for secrets, paths,
and URLs with credentials or of private networks. The result is a valid recipe with the same identity, except for the
names of local files.
"""

import ipaddress
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from capcurriculum import recipe as recipes
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.models import FREE

REDACTED = "redacted"
#: A recipe with an openai engine needs an address; this is a placeholder.
ADDRESS = "http://127.0.0.1:8000/v1"
#: Keys that are removed, so that they take their defaults.
_LEFT_OUT = frozenset(
    {
        "runs", "ray", "python", "slurm", "api_key_env", "headers", "download", "concurrency", "timeout_seconds",
        "weights", "workspace",  # of reviewers, by their names
    }
)  # fmt: skip
#: Keys whose values are local files or folders.
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
    """The redacted recipe."""

    def redacted(text: str, key: str) -> str:
        if key == "base_urls":
            return text  # replaced as a whole
        return _last(text) if key in _PATHS else clean(text)

    data = map_texts(recipe.model_dump(mode="json"), redacted, _LEFT_OUT)
    for name, model in data["models"].items():
        # The keys in there are the model server's, even where a recipe has keys of the same names.
        model |= {key: map_texts(getattr(recipe.models[name], key), lambda text, _: clean(text)) for key in FREE}
        if model["base_urls"]:
            model["base_urls"] = [ADDRESS]
    return recipes.parse(data, "to be published")


def map_texts(value: Any, change: Callable[[str, str], str], without: Collection[str] = (), key: str = "") -> Any:
    """A JSON value with `change(string, nearest key)` in place of every string, and without the keys `without`."""
    match value:
        case dict():
            items = ((name, inner) for name, inner in value.items() if name not in without)
            return {name: map_texts(inner, change, without, name) for name, inner in items}
        case list():
            return [map_texts(inner, change, without, key) for inner in value]
    return change(value, key) if isinstance(value, str) else value


def clean(text: str) -> str:
    """`text` without secrets, private URLs and local paths."""
    if _SECRET.search(text):
        return REDACTED
    if _ABSOLUTE.match(text) or _is_here(text):
        return _last(text)
    public = _URL.sub(lambda url: REDACTED if _private(url[0]) else url[0], text)
    return public if "://" in public else _INSIDE.sub(lambda path: _last(path[0]), public)


def _last(path: str) -> str:
    """The last component of a path."""
    if _SECRET.search(path):
        return REDACTED
    parts = [part for part in re.split(r"[/\\]+", path) if part not in ("", ".", "..", "~")]
    return parts[-1] if parts else (REDACTED if path else "")


def _is_here(text: str) -> bool:
    """Whether a string with slashes is an existing local path and not, say, a Hub id."""
    try:
        return "/" in text and len(text) < 4096 and Path(text).exists()
    except (OSError, ValueError):
        return False


def _private(url: str) -> bool:
    """Whether a URL has credentials or parameters, or its host is in a private network."""
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
