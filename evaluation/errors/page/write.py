"""Write the page on which people say what is wrong with answers: one file, all cases below each other.

Texts of a benchmark and of a model reach it through autoescaping alone; the page may run its own script, known by its
hash, and show its own pictures, and nothing else.
"""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from capcurriculum import __version__
from capcurriculum.errors import ReviewError
from capcurriculum.rows import digest
from capcurriculum.run import Run
from capcurriculum.tables import write_atomically
from datagen.image_decoding import ImageProblem
from evaluation.errors.cases import Case
from evaluation.errors.kinds import meanings
from evaluation.errors.protocol import LETTERS, shortened
from review import images as pictures
from review.page import signing
from review.page.write import block, policy

FORM = 1
#: More cases than this make a page that nobody reads to its end.
MOST = 400
_SIDE = 1_024


def write(path: Path, model: str, cases: Sequence[Case], images: Path, annotator: str, analysis: Path) -> None:
    """The annotator's page of some cases whose pictures lie below `images`.

    It holds the key with which it signs, derived from the secret of the folder `analysis`, and is its owner's alone.

    Raises:
        ReviewError: there are too many, or the file cannot be written.
    """
    if len(cases) > MOST:
        raise ReviewError(f"A page of {len(cases)} answers would be too long; take at most {MOST}, or push to Argilla.")
    if path.suffix.lower() not in (".html", ".htm") or path.is_dir():
        raise ReviewError(f"{path} is no name of a page; give --export one that ends in .html.")
    try:
        write_atomically(path, _page(model, cases, images, annotator, analysis).encode("utf-8", "replace"), 0o600)
    except OSError as error:
        raise ReviewError(f"The page {path} cannot be written ({error.strerror}); give another --export.") from error


def _page(model: str, cases: Sequence[Case], images: Path, annotator: str, analysis: Path) -> str:
    package = files(__package__)
    own, style = ((package / name).read_text(encoding="utf-8").strip() for name in ("page.js", "page.css"))
    script = f"{(files(signing.__package__) / 'sign.js').read_text(encoding='utf-8').strip()}\n{own}"
    page = digest("errors page", model, annotator, sorted(case.key for case in cases))
    setup = {"page": page, "form": FORM, "person": annotator, "key": signing.key(Run(analysis), page, annotator)}
    environment = Environment(
        loader=PackageLoader(__package__, ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("page.html.jinja").render(
        policy=policy(script, style),
        script=Markup(script),  # noqa: S704 (our own file)
        style=Markup(style),  # noqa: S704 (our own file)
        setup=Markup(block("setup", setup)),  # noqa: S704 (no character of it means anything to HTML)
        model=model,
        annotator=annotator,
        version=__version__,
        cases=[_told(case, images) for case in cases],
    )


def _told(case: Case, images: Path) -> dict[str, Any]:
    own = case.sample
    return {
        "key": case.key,
        "benchmark": own.benchmark,
        "sample": own.sample,
        "pictures": [_picture(images, name) for name in own.images],
        "question": own.question,
        "options": list(zip(LETTERS, own.options, strict=False)),
        "gold": own.gold,
        "answer": own.answer,
        "reply": shortened(own.prediction),
        "kinds": list(meanings(bool(own.images)).items()),
    }


def _picture(folder: Path, name: str) -> str:
    """The picture's data URL, or in words why there is none."""
    try:
        return pictures.picture(folder, name, _SIDE).url
    except ImageProblem as problem:
        return f"The picture cannot be shown: {problem}"
