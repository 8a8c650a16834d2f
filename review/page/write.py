"""Write the review page: one self-contained HTML file with all questions and images of the sample.

Its content security policy allows its own script and style by hash, and data: images. Texts of the run are JSON blocks
that the script shows as text; blocks are streamed, so memory does not grow with the sample.
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

#: Maximum number of questions; browsers open larger pages slowly.
MOST = 1_000
_SIDE = 1_024
_MARK = "<!-- blocks -->"


def export(run: Run, recipe: Recipe, sample: Sample, annotator: str, out: Path | None, display: Display) -> Path:
    """Write the annotator's page to `out` (default: `review.html` in the run) and return its path.

    The file contains the signing key and has mode 0600.

    Raises:
        ReviewError: the sample is too large, or `out` is not an .html file or cannot be written.
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
    """The key of the answers in the browser's storage; it does not depend on the size of the sample."""
    return digest("review page", recipe.name, sample.design.kind, sample.design.by, sample.design.seed, annotator)


def _blocks(run: Run, recipe: Recipe, sample: Sample) -> Iterator[str]:
    folders = gather.folders(run, recipe)
    for place, entry in enumerate(entries(run, recipe, sample)):
        yield block(f"question-{place}", _data(entry, recipe) | {"image": _image_url(entry, folders)})


def _data(entry: Entry, recipe: Recipe) -> dict[str, Any]:
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


def _image_url(entry: Entry, folders: Mapping[str, Path]) -> str:
    """The image's data URL, a message if it cannot be read, "" without an image."""
    if not entry.question.image_path:
        return ""
    try:
        return images.picture(folders[entry.question.stage], entry.question.image_path, _SIDE).url
    except (ImageProblem, KeyError) as problem:
        return f"The image cannot be shown: {problem}"


def block(name: str, value: object) -> str:
    """A JSON value as a script element of the page; `<` is escaped, so no text can end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return f'<script type="application/json" id="{name}">{text}</script>\n'


def _page(run: Run, recipe: Recipe, sample: Sample, annotator: str) -> str:
    package = files(__package__)
    signer, script, style = (
        (package / name).read_text(encoding="utf-8").strip() for name in ("sign.js", "page.js", "page.css")
    )
    script, page = f"{signer}\n{script}", page_id(recipe, sample, annotator)
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
        setup=Markup(block("setup", setup)),  # noqa: S704 (escaped by block)
        name=recipe.name,
        annotator=annotator,
        version=__version__,
    )


def policy(script: str, style: str) -> str:
    """The content security policy of a page with this inline script and style, and data: images."""
    return (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
