"""Write the page: one HTML file, and a folder of data beside it for a large run.

The content security policy allows only the page's own script, by its hash. Data beside the page is loaded as scripts
that pass one JSON value each, since pages opened from disk cannot fetch; they carry a random nonce.
"""

import base64
import glob
import hashlib
import json
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from capcurriculum import __version__
from capcurriculum.errors import RunError
from capcurriculum.files.unfinished import exchange
from capcurriculum.ledger import cost, cost_sheet, funnel, kept_cost
from capcurriculum.render.markdown import visible
from capcurriculum.render.progress import Display
from capcurriculum.run import Run
from capcurriculum.tables import write_atomically
from cards.report import arms, charts, numbers
from cards.report.fates import DROPPED, KEPT, OPEN, QUESTION, Chosen, Snapshot, chosen, fates
from cards.report.images import RowImage, each
from cards.report.records import Record, records
from cards.report.trainings import reply, trainings
from datagen.sources import gather

#: The most rows of a report in one file.
ONE_FILE_ROWS = 1_000
#: Rows of a block of the index, and of a block of details.
INDEX_ROWS, DETAIL_ROWS = 1_000, 50
#: Default number of rows in the gallery.
ROWS = 20_000
_MARK = "capcurriculum-report"


@dataclass(slots=True)
class _Blocks:
    """The destination of data: the page, or files in `folder`."""

    folder: Path | None
    inside: dict[str, Markup] = field(default_factory=dict)

    def data(self, name: str, value: object) -> None:
        """Add a JSON value, escaped so that no text in it can close its element."""
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        for character in "<>&\u2028\u2029":
            text = text.replace(character, f"\\u{ord(character):04x}")
        if self.folder is None:
            self.inside[name] = Markup(text)  # noqa: S704 (escaped above)
        else:
            (self.folder / f"{name}.js").write_text(f'capcurriculumBlock("{name}",{text})', encoding="utf-8")

    def image(self, image: RowImage, data: bytes) -> None:
        """Add a thumbnail."""
        if self.folder is None:
            self.data(f"picture-{image.key}", f"data:image/webp;base64,{base64.b64encode(data).decode()}")
        else:
            (self.folder / f"{image.key}.webp").write_bytes(data)


def report(run: Run, out: Path | None, display: Display, rows: int = ROWS) -> Path:
    """Write the page of a run to `out` (None: `report.html` in the run's folder) and return its path.

    The gallery shows at most `rows` rows; numbers are those of the whole run.

    Raises:
        RunError: `out` cannot be written, or the run is damaged.
        TrainerError: the files of a training are damaged.
        RecipeError: the recipe of the run cannot be read.
    """
    path = out or run.path / "report.html"
    _check(path)
    try:
        snapshot = Snapshot.of(run)
        found = fates(snapshot)
        shown = chosen(found, rows, snapshot.recipe.taught)
        with _blocks(path, beside=shown.rows.height > ONE_FILE_ROWS) as blocks:
            images = _write_rows(blocks, records(snapshot, shown.rows), display, shown.rows.height)
            _write_images(blocks, images, gather.folders(run, snapshot.recipe), path, display)
            page = _page(snapshot, found, shown, blocks, path)
        write_atomically(path, page.encode())
        if blocks.folder is None:
            shutil.rmtree(data_folder(path), ignore_errors=True)  # of an earlier, larger report
    except OSError as error:
        raise RunError(f"The report {path} cannot be written ({error.strerror}); give another --out.") from error
    except (duckdb.Error, pl.exceptions.PolarsError) as error:
        reason = " ".join(str(error).split())
        raise RunError(
            f"The tables of {run.path} are damaged ({reason}); remove the shard it names and build again."
        ) from error
    return path


def data_folder(path: Path) -> Path:
    """The data folder of a large report, beside the page `path`."""
    return path.with_name(f"{path.stem}.data")


def _check(path: Path) -> None:
    folder = data_folder(path)
    if path.is_dir():
        raise RunError(f"{path} is a folder; give --out the name of a file, for example {path / 'report.html'}.")
    if path.suffix.lower() not in (".html", ".htm"):
        raise RunError(f"{path} does not end in .html, so no browser would open it; give --out such a name.")
    if not path.parent.is_dir():
        raise RunError(f"There is no folder {path.parent} to write the report to; make it, or give another --out.")
    if folder.exists() and not (folder / _MARK).is_file():
        raise RunError(f"{folder} is needed for the report's data and holds something else; give another --out.")


@contextmanager
def _blocks(path: Path, beside: bool) -> Iterator[_Blocks]:
    """The destination of data; a folder replaces that of an earlier report once it is complete."""
    folder = data_folder(path)
    if not beside:
        yield _Blocks(None)
        return
    for killed in folder.parent.glob(f".tmp-*-report-{glob.escape(folder.name)}"):
        shutil.rmtree(killed)
    temporary, before = (folder.with_name(f".tmp-{kind}-report-{folder.name}") for kind in ("new", "old"))
    try:
        temporary.mkdir()
        (temporary / _MARK).touch()
        yield _Blocks(temporary)
        exchange(temporary, folder, before)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_rows(blocks: _Blocks, rows: Iterator[Record], display: Display, total: int) -> dict[str, RowImage]:
    """Write index and details in blocks; returns their images by key."""
    images: dict[str, RowImage] = {}
    index: list[dict[str, Any]] = []
    number = 0
    with display.step("report, rows", total) as advance:
        while window := list(islice(rows, DETAIL_ROWS)):
            blocks.data(f"detail-{number}", [row.detail for row in window])
            index += [row.index for row in window]
            number += 1
            if len(index) == INDEX_ROWS:
                blocks.data(f"index-{(number * DETAIL_ROWS - 1) // INDEX_ROWS}", index)
                index = []
            images |= {row.image.key: row.image for row in window if row.image}
            advance(len(window))
    if index:
        blocks.data(f"index-{(number - 1) * DETAIL_ROWS // INDEX_ROWS}", index)
    return images


def _write_images(
    blocks: _Blocks, images: Mapping[str, RowImage], folders: Mapping[str, Path], path: Path, display: Display
) -> None:
    """Write thumbnails; those of an earlier report of the run are copied."""
    missing = []
    with display.step("report, images", len(images)) as advance:
        for image in images.values():
            earlier = data_folder(path) / f"{image.key}.webp"
            if blocks.folder is not None and earlier.is_file():
                shutil.copy2(earlier, blocks.folder / earlier.name)
                advance(1)
            else:
                missing.append(image)
        for image, data in each(missing, folders):
            blocks.image(image, data)
            advance(1)


def _page(snapshot: Snapshot, found: pl.DataFrame, shown: Chosen, blocks: _Blocks, path: Path) -> str:
    package = files(__package__)
    script, style = ((package / name).read_text(encoding="utf-8").strip() for name in ("page.js", "page.css"))
    nonce = secrets.token_urlsafe(16) if blocks.folder else ""
    setup = {
        "rows": shown.rows.height,
        "total": shown.total,
        "indexRows": INDEX_ROWS,
        "detailRows": DETAIL_ROWS,
        "folder": data_folder(path).name if blocks.folder else "",
        "nonce": nonce,
    }
    setup_block = _Blocks(None)
    setup_block.data("setup", setup)
    environment = Environment(
        loader=PackageLoader(__package__, ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"words": charts.words, "visible": visible, "reply": reply}
    return environment.get_template("page.html.jinja").render(
        policy=_policy(script, style, nonce),
        script=Markup(script),  # noqa: S704 (a file of this package)
        style=Markup(style),  # noqa: S704 (a file of this package)
        blocks=setup_block.inside | blocks.inside,
        nonce=nonce,
        version=__version__,
        name=snapshot.recipe.name,
        shown=shown,
        charts=charts,
        outcomes=arms.OUTCOMES,
        trainings=trainings(snapshot.run),
        **_numbers(snapshot, found),
    )


def _numbers(snapshot: Snapshot, found: pl.DataFrame) -> dict[str, Any]:
    """All numbers of the page."""
    run, taught = snapshot.run, snapshot.recipe.taught
    lines = funnel.lines(run, snapshot.verdicts)
    questions = found.filter(found["kind"] == QUESTION)
    fate = dict(questions["fate"].value_counts().iter_rows())
    kept = dict(questions.filter(questions["fate"] == KEPT)["stage"].value_counts().iter_rows())
    costs = kept_cost.of_run(run, snapshot.recipe, snapshot.verdicts)
    return {
        "about": run.about(),
        "funnels": {s: [x for x in lines if x.stage == s] for s in numbers.stages((x.stage for x in lines), taught)},
        "questions": questions.height,
        "fate": {name: fate.get(name, 0) for name in (KEPT, OPEN, DROPPED)},
        "kept": {stage: kept[stage] for stage in numbers.stages(kept, taught)},
        "pass_rates": numbers.pass_rates(found, taught),
        "question_lengths": numbers.question_lengths(snapshot, found),
        "reply_lengths": numbers.reply_lengths(snapshot),
        "arms": arms.arms(snapshot),
        "crosses": arms.crosses(snapshot),
        "keys": numbers.keys(snapshot, found),
        "spends": cost.spends(run),
        "kept_costs": cost_sheet.sheet(costs),
        "cost_sentences": cost_sheet.sentences(costs),
    }


def _policy(script: str, style: str, nonce: str) -> str:
    """The content security policy: the page's own script, style, data and images."""
    extra = f" 'nonce-{nonce}'" if nonce else ""
    rules = (
        "default-src 'none'",
        f"script-src '{_hash(script)}'{extra}",
        f"style-src '{_hash(style)}'",
        "img-src 'self' data:" if nonce else "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "trusted-types capcurriculum",
        "require-trusted-types-for 'script'",
    )
    return "; ".join(rules)


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
