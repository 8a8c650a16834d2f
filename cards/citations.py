"""Origin, citation and licence evidence of a run's sources, from `sources.yaml`.

A source without an entry there is unknown, never guessed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from capcurriculum.files import json_file
from capcurriculum.recipe.base import Section
from capcurriculum.run import Run
from datagen.sources import manifest

#: The paper that this project implements; authors and title as on arXiv.
PAPER = """\
@inproceedings{wu2026seeing,
  title     = {From Seeing to Thinking: Decoupling Perception and Reasoning Improves Post-Training of Vision-Language Models},
  author    = {Wu, Juncheng and Chen, Hardy and Tu, Haoqin and Tang, Xianfeng and Shi, Freda and Liu, Hui and Lu, Hanqing and Xie, Cihang and Zhou, Yuyin},
  booktitle = {International Conference on Machine Learning (ICML)},
  year      = {2026},
  note      = {arXiv:2605.20177}
}
"""  # noqa: E501 (BibTeX)


class Entry(Section):
    """An entry of `sources.yaml`."""

    name: str
    kinds: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    url: str = ""
    license: str
    evidence: str
    language: str = ""
    bibtex: str = ""


class Declared(BaseModel):
    """A source in the `sources.json` of a run."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    stage: str = ""
    kind: str = ""
    source: str = ""
    upstream: str = ""
    revision: str = ""
    splits: tuple[str, ...] = ()
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of the rows of one source name; None and () if unknown.

    `entries` are all entries to cite: those of a part of a collection, and those of the collection.
    """

    declared: Declared | None
    entries: tuple[Entry, ...]


@cache
def known() -> Mapping[str, Entry]:
    """The entries of `sources.yaml` by key."""
    data = yaml.safe_load((files("cards") / "sources.yaml").read_text(encoding="utf-8"))
    return {key: Entry.model_validate(value) for key, value in data.items()}


def declared(run: Run) -> list[Declared]:
    """The declared sources of a run; empty where it has no readable list."""
    try:
        data = json_file.read(run.path / manifest.FILE)
        return [Declared.model_validate(one) for one in data["sources"]]
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return []


def origin(source: str, sources: Iterable[Declared]) -> Origin:
    """The origin of rows whose `source` is `NAME`, or `NAME/PART` of a collection."""
    for one in sources:
        if one.source and (source == one.source or source.startswith(f"{one.source}/")):
            part = source[len(one.source) + 1 :]
            found = [e for e in known().values() if part and part in e.parts]
            return Origin(one, tuple(found + [e for e in known().values() if one.kind in e.kinds]))
    return Origin(None, ())
