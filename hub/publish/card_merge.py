"""Merge a new card with the one on the Hub, so that edits made there survive.

A publication owns its configurations, the metadata keys that it computes, and the text above the `KEEP` line; the rest
of the old card is kept. Merging is idempotent, so an unchanged card makes no commit.
"""

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import DatasetCard, ModelCard

from cards.dataset.metadata import ENVIRONMENT_TAGS

#: The text below it is never changed.
KEEP = "<!-- Text below this line is kept when this card is published again. -->"
_LISTS = ("tags",)


def settle(path: Path, before: Path | None, gone: Collection[str] = (), model: bool = False) -> None:
    """Rewrite the card at `path` with the kept parts of the card `before`.

    `gone` are the configurations that were published before and no longer are.
    """
    kind = ModelCard if model else DatasetCard
    card = kind.load(path)
    old = _load(kind, before) if before else None
    metadata = _merged(card.data.to_dict(), old.data.to_dict() if old else {}, set(gone))
    theirs = old.text.partition(KEEP)[2].strip() if old and KEEP in old.text else ""
    text = card.text.partition(KEEP)[0].strip()
    kept = f"{theirs}\n" if theirs else ""
    block = yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True, width=4096)
    kind(f"---\n{block}---\n\n{text}\n\n{KEEP}\n{kept}").save(path)


def _load(kind: Any, path: Path) -> Any:
    """A card of the Hub, without its metadata where that cannot be parsed."""
    try:
        return kind.load(path)
    except (ValueError, TypeError, yaml.YAMLError):
        text = path.read_text(encoding="utf-8", errors="replace")
        return kind(re.sub(r"\A\s*---.*?^---\s*$", "", text, count=1, flags=re.DOTALL | re.MULTILINE))


def _merged(new: dict[str, Any], old: dict[str, Any], gone: set[str]) -> dict[str, Any]:
    found = dict(new)
    for key, value in old.items():
        if key == "configs":
            found[key] = _by_name(_listed(new.get(key)), _listed(value), gone)
        elif key == "dataset_info":
            both = _by_name(_listed(new.get(key)), _listed(value), gone)
            found[key] = both[0] if len(both) == 1 else both
        elif key in _LISTS:
            kept = (one for one in _listed(value) if one not in ENVIRONMENT_TAGS)  # they go with the environment
            found[key] = list(dict.fromkeys([*_listed(new.get(key)), *kept]))
        else:
            found.setdefault(key, value)
    return {key: value for key, value in found.items() if value not in (None, [], {})}


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]


def _by_name(new: list[Any], old: list[Any], gone: set[str]) -> list[Any]:
    """The new entries, then the old ones that are neither new nor gone; only a new one may be the default."""
    known = {one.get("config_name", "default") for one in new} | gone
    theirs = [one for one in old if isinstance(one, dict) and one.get("config_name", "default") not in known]
    return [*new, *({key: value for key, value in one.items() if key != "default"} for one in theirs)]
