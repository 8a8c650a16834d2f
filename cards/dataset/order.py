"""A description of the order of a set, from its `order.json`."""

from collections.abc import Mapping
from typing import Any

from capcurriculum.errors import RunError
from capcurriculum.files import json_file
from capcurriculum.render.markdown import Md, code, listed
from cards.staged import Staged
from curricula import order_file

_KINDS: Mapping[str, str] = {
    "merged": "All stages in one set, shuffled.",
    "difficulty": "All stages in one set, {easy} by pass rate.",
    "capability": "A set for each stage, shuffled.",
    "capability_x_difficulty": "A set for each stage, {easy} by pass rate.",
    "interleaved": "One set in which every prefix has each {by} in proportion, each of them {easy} by pass rate.",
}


def order(staged: Staged) -> dict[str, Any]:
    """The key `order` of the `order.json` in the staged folder, else in the run; empty where there is none.

    Raises:
        RunError: the file is damaged.
    """
    in_run = staged.run.path / "curricula" / staged.order if staged.order else staged.run.stages
    for path in (staged.folder / order_file.NAME, in_run / order_file.NAME):
        if path.is_file():
            try:
                found = json_file.read(path)["order"]
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise RunError(f"{path} is damaged ({error}); write the order again.") from error
            return found if isinstance(found, dict) else {}
    return {}


def described(found: Mapping[str, Any]) -> Md:
    """One paragraph on an order."""
    if not found:
        return Md("The order of the rows is unknown: there is no `order.json`.")
    kind = str(found.get("order", ""))
    easy = "hard to easy" if found.get("reverse") else "easy to hard"
    text = _KINDS.get(kind, "").format(easy=easy, by=code(str(found.get("by", "stage"))))
    parts = [text or f"The order {code(kind)}."]
    if stages := found.get("stages"):
        parts.append(f"Stages in this order: {listed(code(str(stage)) for stage in stages)}.")
    if proportions := found.get("proportions"):
        parts.append(f"Proportions: {listed(Md(f'{code(str(k))} {float(v):g}') for k, v in proportions.items())}.")
    if replay := found.get("replay"):
        parts.append(f"{float(replay):.0%} of each earlier stage's training rows are mixed into each later one.")
    if balance := found.get("balance"):
        parts.append(
            f"Every {int(balance['batch'])} consecutive rows have each {code(str(balance['by']))} in proportion."
        )
    if int(found.get("epochs") or 1) > 1:
        parts.append(f"There are files for {int(found['epochs'])} epochs, each shuffled differently.")
    return Md(" ".join(parts) + " Read the rows in this order, without shuffling, to follow the curriculum.")


def command(found: Mapping[str, Any]) -> str:
    """The options of `capcurriculum curriculum RUN` for this order; "" for the order that a build writes."""
    words = ["--order", str(found.get("order", ""))]
    if stages := found.get("stages"):
        words += ["--stages", "-".join(map(str, stages))]
    words += ["--reverse"] if found.get("reverse") else []
    words += ["--by", str(found["by"])] if found.get("by") not in (None, "stage") else []
    if proportions := found.get("proportions"):
        words += ["--proportions", ",".join(f"{k}={float(v):g}" for k, v in proportions.items())]
    words += ["--replay", f"{float(found['replay']):g}"] if found.get("replay") else []
    if balance := found.get("balance"):
        words += ["--balance", f"{balance['by']}:{balance['batch']}"]
    words += ["--epochs", str(found["epochs"])] if int(found.get("epochs") or 1) > 1 else []
    plain = words == ["--order", "capability_x_difficulty"] or not found
    return "" if plain else " ".join(words)
