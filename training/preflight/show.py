"""The preflight's report: a table of measurements and every finding, printed and saved as JSON beside the plan."""

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.text import Text

from capcurriculum.errors import TrainerError
from capcurriculum.render.table import grid
from capcurriculum.render.terminal import visible
from capcurriculum.tables import write_atomically
from training.preflight.findings import Severity
from training.preflight.inspection import Inspection

VERSION = 1
FILE = "preflight.json"
#: mean, p99, max, images and limit are tokens per prompt.
_COLUMNS = ("set", "rows", "val", "mean", "p99", "max", "images", "limit", "too long", "key p")
_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


def show(inspection: Inspection, out: Console) -> None:
    """Print the report."""
    rows = []
    for name, stage in inspection.stages.items():
        lengths = [f"{stage.tokens[key]:,.0f}" if stage.tokens else "" for key in ("mean", "p99", "max")]
        key = "" if stage.balance is None else f"{stage.balance.p:.2g}"
        counts = (f"{stage.rows:,}", f"{stage.val_rows:,}", *lengths, f"{stage.image_tokens:,.0f}", f"{stage.limit:,}")
        rows.append((name, *counts, f"{stage.overlong:,}", key))
    if rows:
        table = grid(_COLUMNS, rows, _COLUMNS[1:])
        table.title = "Preflight: rows, tokens of their prompts, balance of the answer key"
        out.print(table)
    if (most := inspection.machine.get("chain_disk_gb")) is not None:
        left = inspection.machine.get("chain_disk_left_gb") or 0.0
        out.print(
            f"Disk: up to {most:,.1f} GB while it trains, {left:,.1f} GB when all stages are done", highlight=False
        )
    for finding in inspection.findings.all():
        line = Text(finding.severity.value, _STYLES[finding.severity])  # no markup, since rows may contain brackets
        out.print(line.append(f"  {visible(finding.sentence())}", "default"), soft_wrap=True)


def save(inspection: Inspection, folder: Path) -> Path:
    """Write the report as `preflight.json` in `folder` and return its path."""
    content = {
        "version": VERSION,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "findings": [dataclasses.asdict(finding) for finding in inspection.findings.all()],
        "sets": {name: dataclasses.asdict(stage) for name, stage in inspection.stages.items()},
        "machine_gb": inspection.machine,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    write_atomically(path, text.encode("utf-8", "backslashreplace"))
    return path


def refuse(inspection: Inspection) -> None:
    """Refuse a training with errors.

    Raises:
        TrainerError: there are errors; the sentence holds the first and the number of others.
    """
    errors = inspection.findings.errors()
    if errors:
        more = f" There are {len(errors) - 1} more kinds of errors above." if len(errors) > 1 else ""
        raise TrainerError(f"The training may not start. {errors[0].sentence()}{more}")
