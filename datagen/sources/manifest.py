"""`sources.json` of a run: every source with its upstream, pin and licence, and how many rows it gave.

The counts are a query over the tables, so they are right after any interruption; nothing here says where the data lay.
"""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import polars as pl

from capcurriculum.files import checked_json, json_file
from capcurriculum.recipe.sources import KINDS, SourceSection
from capcurriculum.run import Run, stage_of_caption
from capcurriculum.tables import write_atomically

FILE = "sources.json"


def write(run: Run, stages: Mapping[str, Sequence[SourceSection]], read_as: Mapping[tuple[str, int], str]) -> None:
    """Write the file, if it is new or changed.

    `read_as` says of a stage's source by its number how its whole-number keys were read; what is not said anew stays.
    """
    conventions = _read_before(run) | {f"{stage} {number}": said for (stage, number), said in read_as.items()}
    declared = []
    for stage, found in stages.items():
        for number, section in enumerate(found):
            said = conventions.get(f"{stage} {number}", "")
            declared.append(_declared(stage, section) | ({"keys": said, "number": number} if said else {}))
    data = checked_json.encode({"sources": declared, "rows": _rows(run)}, ascii_only=False)
    path = run.path / FILE
    if not path.is_file() or path.read_bytes() != data:
        write_atomically(path, data)


def _read_before(run: Run) -> dict[str, str]:
    try:
        sources = json_file.read(run.path / FILE)["sources"]
        return {f"{one['stage']} {one['number']}": str(one["keys"]) for one in sources if "keys" in one}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _declared(stage: str, section: SourceSection) -> dict[str, Any]:
    kind = KINDS[section.kind]
    return {
        "stage": stage,
        "kind": section.kind,
        "source": section.name,
        "upstream": section.repo or kind.upstream,
        "revision": section.revision or (version("reasoning-gym") if section.kind == "reasoning_gym" else ""),
        "license": section.row_license or "of each part",
        "splits": list(section.selected_splits),
        "limit": section.limit,
    }


def _rows(run: Run) -> list[dict[str, Any]]:
    """Rows by stage, source and licence: what a card needs to name every licence."""
    by = ["stage", "source", "license"]
    captions = run.captions.scan().select(stage_of_caption(), "source", "license")
    questions = run.questions.scan().filter(pl.col("caption_id") == "").select(*by)
    counted = pl.concat([captions, questions]).group_by(by).agg(pl.len().alias("rows")).sort(by)
    return list(counted.collect().iter_rows(named=True))
