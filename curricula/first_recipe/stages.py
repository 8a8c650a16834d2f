"""The stages of a first recipe, from what was found in the data, and their lines of commented YAML."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from capcurriculum.recipe.sources import KINDS, SourceSection

#: What stands behind a key of a source.
_SOURCE: Mapping[str, str] = {
    "path": "as seen from the folder in which you call capcurriculum",
    "revision": "the commit in the Hub's cache; `repo: {source}` in place of `path` reads it from the Hub",
    "files": "patterns of the files that are read, below the path",
    "images": "the folder or archive of the images, below the path",
    "columns": "what each column is taken for; others are not read",
    "splits": "rows of other splits stay out of the data",
    "parts": "how many rows of each part, null for all",
    "source": "what rows and cards call it",
}
_LICENSE = "what the cards say of these rows: put the licence of your data here"


def sources(sections: Sequence[SourceSection]) -> dict[str, Any]:
    """The `source` or `sources` of a stage, as a recipe says it."""
    said = [_said(section) for section in sections]
    return {"source": said[0]} if len(said) == 1 else {"sources": said}


def _said(section: SourceSection) -> dict[str, Any]:
    """The keys of a section that are not left at their defaults, its columns and its licence."""
    said = section.model_dump(mode="json", exclude_defaults=True)
    if section.columns is not None:
        said["columns"] = _read(section) | section.columns.model_dump(mode="json", exclude_defaults=True)
    if KINDS[section.kind].license:
        said["license"] = section.row_license
    order = ["kind", *_SOURCE, "license"]
    return dict(sorted(said.items(), key=lambda pair: order.index(pair[0]) if pair[0] in order else len(order)))


def _read(section: SourceSection) -> dict[str, str]:
    """The columns that every stage of this kind reads, also where they have their default names."""
    columns = section.columns
    if columns is None:
        return {}
    said = {"image": columns.image} if "image" in columns.model_fields_set else {}
    if section.kind == "captions":
        return {**said, "caption": columns.caption}
    return {**said, "problem": columns.problem, "answer": columns.answer_column}


def source_lines(sections: Sequence[SourceSection], pad: str) -> list[str]:
    """Commented lines of `source` or `sources`, each behind `pad`."""
    said = sources(sections)
    if "source" in said:
        return [f"{pad}source:", *(f"{pad}  {line}" for line in _lines(said["source"]))]
    lines = [f"{pad}sources:"]
    for one in said["sources"]:
        first, *rest = _lines(one)
        lines += [f"{pad}  - {first}", *(f"{pad}    {line}" for line in rest)]
    return lines


def _lines(said: Mapping[str, Any]) -> Iterator[str]:
    for key, value in said.items():
        comment = _LICENSE if key == "license" else _SOURCE.get(key, "").format(source=said.get("source", ""))
        if key == "path" and str(value).startswith("/"):
            comment = ""
        yield f"{key}: {scalar(value)}" + (f"  # {comment}" if comment.isprintable() and comment else "")


def scalar(value: object) -> str:
    """A value as one line of YAML that reads as the same value."""
    plain = json.dumps(value, ensure_ascii=False)
    if not plain.isprintable() or "\\" in plain:
        return json.dumps(value)
    text: str = yaml.dump(
        value, Dumper=yaml.CSafeDumper, default_flow_style=True, width=1_000_000, sort_keys=False, allow_unicode=True
    )
    return text.removesuffix("\n").removesuffix("\n...").strip()
