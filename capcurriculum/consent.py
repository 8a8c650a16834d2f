"""What a recipe would run or send, and the user's word on it, given once for that very list.

A recipe may be somebody else's: one from the Hub, from a run folder, from a chat. It may name programs, variables whose
values go to a host, and hosts that are sent pictures and texts. Each is a `Wish`. A verb that would fulfil some asks
`check` before it begins: what the user has allowed (`capcurriculum allow RECIPE`, or yes on a terminal) is known by the
digest of the whole list, kept in the user's own configuration folder, so that another program or another host is asked
about again and another seed is not. What the shipped recipes name needs no word.
"""

import hashlib
import os
import stat
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from capcurriculum import recipe
from capcurriculum.errors import ConsentError
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.models import ModelSection
from capcurriculum.render import terminal
from capcurriculum.render.terminal import visible
from capcurriculum.trust import endpoint_urls
from capcurriculum.trust.headers import variables

#: Parts of a list: where in the recipe a wish stands.
MODELS, JUDGES, KITS = "models", "judges", "evaluation.python"
PYTHON, RAY, TRACKERS = "training.python", "training.ray", "training.logger"
TRAINING = frozenset({PYTHON, RAY, TRACKERS})
#: Trackers whose servers are on other machines, or may be.
_REMOTE = ("wandb", "mlflow", "swanlab", "trackio")
_SHOWN = 6


@dataclass(frozen=True, slots=True, order=True)
class Wish:
    """Something to run or to send; `text` goes on from "the recipe would"."""

    part: str
    text: str


def of_recipe(wanted: Recipe) -> tuple[Wish, ...]:
    """All that a recipe would run or send, sorted.

    An endpoint on loopback is among it only where it would get a secret: a header, or a key that is in the environment.
    """
    found = [wish for name, model in wanted.models.items() for wish in _of_model(name, model)]
    if any(not endpoint_urls.on_loopback(url) for model in wanted.models.values() for url in model.base_urls):
        found += _sources(wanted)
    if training := wanted.training:
        if training.python:
            found.append(Wish(PYTHON, f"run the program {_program(training.python)}"))
        host = training.ray.removeprefix("ray://")
        if training.ray not in ("", "auto") and not endpoint_urls.on_loopback(f"http://{host}"):
            found.append(Wish(RAY, f"send the training's code and rows to the Ray cluster at {training.ray}"))
        said = f" and {training.log_samples} replies of each validation" if training.log_samples else ""
        found += [
            Wish(TRACKERS, f"send metrics{said} to {name}, with its key") for name in training.logger if name in _REMOTE
        ]
    if wanted.evaluation.python:
        found.append(Wish(KITS, f"run the program {_program(wanted.evaluation.python)}"))
    return tuple(sorted(set(found)))


def to_endpoint(part: str, who: str, url: str, key: str, headers: Sequence[tuple[str, str]] = ()) -> Iterator[Wish]:
    """The wish to ask `who` at an address, with the value of the variable `key` and (header, variable) pairs."""
    secrets = [(key, "as its key"), *((variable, f"in the header {header}") for header, variable in headers)]
    away = not endpoint_urls.on_loopback(url)
    sent = [f"${variable} {place}" for variable, place in secrets if away or os.environ.get(variable)]
    if not sent:
        return
    clear = ", over plain http, which anybody on the way can read" if endpoint_urls.in_clear(url) else ""
    yield Wish(part, f"send what {who} is asked to {url}, with {' and '.join(sent)}{clear}")


def _of_model(name: str, model: ModelSection) -> Iterator[Wish]:
    for url in model.base_urls if model.engine == "openai" else ():
        yield from to_endpoint(MODELS, f"the model {name}", url, model.api_key_env, variables(model.headers))


def _sources(wanted: Recipe) -> Iterator[Wish]:
    """What lies on this machine and would be sent; a data set of the Hub is no secret of the user's."""
    for stage, section in wanted.stages.items():
        for source in section.all_sources:
            for path in filter(None, (source.path, source.images)):
                yield Wish(MODELS, f"send them what lies in {path} (of the stage {stage})")


def _program(path: str) -> str:
    """The file itself: what is written may depend on the folder that the command is given in."""
    return str(Path(os.path.expanduser(path)).absolute())


def check(name: str, wishes: Sequence[Wish], parts: Collection[str], *, allow: bool) -> None:
    """Go on only if all that would be run or sent is allowed; on a terminal, ask.

    Args:
        name: the recipe as the user named it.
        wishes: all of it, whose digest the word is given for.
        parts: those that concern what is about to be done.
        allow: the user said `--allow`: for this call alone, and nothing is stored.

    Raises:
        ConsentError: it is not allowed; the sentence lists it.
    """
    now = missing(wishes, parts)
    if allow or not now:
        return
    if sys.stdin.isatty() and sys.stderr.isatty():
        terminal.say(*listed(name, wishes), "Allow this, now and later? [y/N]", error=True)
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            store(wishes)
            return
        raise ConsentError(f"Nothing was run or sent; change {visible(name)}, or answer y.")
    shown = "; ".join(visible(wish.text) for wish in now[:_SHOWN])
    more = f"; and {len(now) - _SHOWN} more" if len(now) > _SHOWN else ""
    raise ConsentError(
        f"{visible(name)} would {shown}{more}. You have not allowed this: look at it and allow it with `capcurriculum "
        f"allow {visible(name)}`, or give --allow with the command."
    )


def missing(wishes: Sequence[Wish], parts: Collection[str]) -> list[Wish]:
    """Those of the parts that wait for the user's word."""
    now = [wish for wish in wishes if wish.part in parts]
    return [] if allowed(wishes) or set(now) <= _shipped() else now


def listed(name: str, wishes: Sequence[Wish]) -> list[str]:
    """The list as lines to read."""
    if not wishes:
        return [f"{visible(name)} runs no program and sends nothing that would need your word."]
    return [f"{visible(name)} would", *(f"  {visible(wish.text)} ({wish.part})" for wish in wishes)]


def digest(wishes: Sequence[Wish]) -> str:
    """What the word is known by: SHA-256 of the list."""
    lines = sorted(f"{wish.part}\t{wish.text!a}" for wish in wishes)
    return hashlib.sha256("\n".join(["capcurriculum allow 1", *lines]).encode()).hexdigest()


def allowed(wishes: Sequence[Wish]) -> bool:
    """Whether the user's word on this very list is stored; one that another user put there is none."""
    try:
        found = _file(wishes).lstat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.getuid()


def store(wishes: Sequence[Wish]) -> Path:
    """Keep the user's word; returns the file that stands for it, which says what was allowed.

    Raises:
        ConsentError: it cannot be written.
    """
    from capcurriculum.tables import write_atomically

    path = _file(wishes)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(path, "".join(f"{wish.part}: {wish.text!a}\n" for wish in wishes).encode("ascii"), 0o600)
    except OSError as error:
        raise ConsentError(
            f"Your word cannot be stored in {path.parent} ({error.strerror}); make room for it there, or give --allow "
            "with each command."
        ) from error
    return path


def forget(wishes: Sequence[Wish]) -> None:
    """Take the user's word back, if there is one."""
    _file(wishes).unlink(missing_ok=True)


def _file(wishes: Sequence[Wish]) -> Path:
    base = os.environ.get("XDG_CONFIG_HOME", "")
    config = Path(base) if os.path.isabs(base) else Path(os.path.expanduser("~"), ".config")
    return config / "capcurriculum" / "allowed" / f"{digest(wishes)}.txt"


def _shipped() -> frozenset[Wish]:
    """What the recipes of this package name: endpoints on this machine, with the usual key where there is one."""
    return frozenset(wish for one in _recipes() for wish in of_recipe(one))


@cache
def _recipes() -> list[Recipe]:
    paths = sorted(Path(str(files("curricula"))).joinpath("recipes").rglob("*.yaml"))
    return [recipe.load(path) for path in paths]
