"""Write the review page: one file with every question and picture of the sample, which any browser opens by itself.

The page may run its own script, known by its hash, show its own pictures, and nothing else; texts of the run reach it
as data, which the script shows as text. Blocks of data are written one after the other, so a large sample needs no
more memory than a small one.
"""

import base64
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from capcurriculum import __version__
from capcurriculum.errors import ReviewError
from capcurriculum.recipe import Recipe
from capcurriculum.render.progress import Display
from capcurriculum.rows import digest
from capcurriculum.run import Run
from capcurriculum.tables import publish
from datagen.image_decoding import ImageProblem
from datagen.sources import gather
from filters.human import form
from review import images
from review.entries import Entry, entries
from review.page import signing
from review.sample import Sample

#: More pictures than this make a file that browsers open slowly.
MOST = 1_000
_SIDE = 1_024
_MARK = "<!-- blocks -->"


def export(run: Run, recipe: Recipe, sample: Sample, annotator: str, out: Path | None, display: Display) -> Path:
    """Write the annotator's page of a sample to `out` (None: `review.html` in the run's folder) and return its path.

    It holds the key with which it signs, so the file is its owner's alone, who hands it to the annotator.

    Raises:
        ReviewError: the sample is too large for a page, or `out` cannot be written.
    """
    path = out or run.path / "review.html"
    if len(sample.drawn) > MOST:
        raise ReviewError(
            f"A page of {len(sample.drawn)} questions would be too large for a browser; draw at most {MOST}, or push "
            "them to Argilla."
        )
    if path.suffix.lower() not in (".html", ".htm") or path.is_dir():
        raise ReviewError(f"{path} is no name of a page; give --out one that ends in .html.")
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    try:
        head, tail = _page(run, recipe, sample, annotator).split(_MARK)
        temporary.touch(0o600)
        with temporary.open("w", encoding="utf-8") as file:
            file.write(head)
            with display.step("review, page", len(sample.drawn)) as advance:
                for block in _blocks(run, recipe, sample):
                    file.write(block)
                    advance(1)
            file.write(tail)
            file.flush()
            os.fsync(file.fileno())
        publish(temporary, path)
    except OSError as error:
        raise ReviewError(f"The page {path} cannot be written ({error.strerror}); give another --out.") from error
    finally:
        temporary.unlink(missing_ok=True)
    return path


def page_id(recipe: Recipe, sample: Sample, annotator: str) -> str:
    """Under which name a browser keeps the answers: those to a smaller sample of the same design stay in sight."""
    return digest("review page", recipe.name, sample.design.kind, sample.design.by, sample.design.seed, annotator)


def _blocks(run: Run, recipe: Recipe, sample: Sample) -> Iterator[str]:
    folders = gather.folders(run, recipe)
    for place, entry in enumerate(entries(run, recipe, sample)):
        yield block(f"question-{place}", _told(entry, recipe) | {"image": _picture(entry, folders)})


def _told(entry: Entry, recipe: Recipe) -> dict[str, Any]:
    question = entry.question
    return {
        "id": question.question_id,
        "version": entry.version,
        "stage": question.stage,
        "skill": question.skill,
        "text": question.text or question.problem,
        "options": list(question.options),
        "key": question.answer,
        "caption": "" if recipe.review.caption == "left_out" else question.caption,
        "solvers": list(entry.solvers),
        "suggested": entry.suggestion and [entry.suggestion.right, round(entry.suggestion.score, 3)],
    }


def _picture(entry: Entry, folders: Mapping[str, Path]) -> str:
    """The picture's data URL, or in words why there is none."""
    if not entry.question.image_path:
        return ""
    try:
        return images.picture(folders[entry.question.stage], entry.question.image_path, _SIDE).url
    except (ImageProblem, KeyError) as problem:
        return f"The image cannot be shown: {problem}"


def block(name: str, value: object) -> str:
    """One JSON value as an element of the page. No `<` is left in it, so no text can end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return f'<script type="application/json" id="{name}">{text}</script>\n'


def _page(run: Run, recipe: Recipe, sample: Sample, annotator: str) -> str:
    package = files(__package__)
    signer, own, style = (
        (package / name).read_text(encoding="utf-8").strip() for name in ("sign.js", "page.js", "page.css")
    )
    script, page = f"{signer}\n{own}", page_id(recipe, sample, annotator)
    setup = {
        "page": page,
        "reviewer": annotator,
        "key": signing.key(run, page, annotator),
        "run": recipe.name,
        "questions": len(sample.drawn),
        "caption": recipe.review.caption,
        "kinds": form.KINDS,
        "form": form.FORM,
    }
    environment = Environment(loader=PackageLoader(__package__, ""), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("page.html.jinja").render(
        policy=policy(script, style),
        script=Markup(script),  # noqa: S704 (our own file)
        style=Markup(style),  # noqa: S704 (our own file)
        setup=Markup(block("setup", setup)),  # noqa: S704 (no character of it means anything to HTML)
        name=recipe.name,
        annotator=annotator,
        version=__version__,
    )


def policy(script: str, style: str) -> str:
    """The content security policy of a page with this one script and this one style, and pictures of its own."""
    return "; ".join(_policy(script, style))


def _policy(script: str, style: str) -> Iterator[str]:
    yield "default-src 'none'"
    yield f"script-src '{_hash(script)}'"
    yield f"style-src '{_hash(style)}'"
    yield "img-src data:"
    yield "base-uri 'none'"
    yield "form-action 'none'"
    yield "require-trusted-types-for 'script'"


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
