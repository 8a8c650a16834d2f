"""Write the page on which a person classifies errors: one HTML file with all cases.

Texts of benchmarks and models are autoescaped. The content security policy allows the page's own script, by its hash,
and data URLs of images, and nothing else.
"""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from string import ascii_uppercase
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
from evaluation.errors.protocol import shortened
from review import images as review_images
from review.page import signing
from review.page.write import block, policy

FORM = 1
#: The most cases of a page.
MOST = 400
_SIDE = 1_024


def write(path: Path, model: str, cases: Sequence[Case], images: Path, annotator: str, analysis: Path) -> None:
    """Write the annotator's page of cases whose images lie below `images`, readable by its owner alone.

    It contains a signing key, derived from the secret of the folder `analysis`.

    Raises:
        ReviewError: there are too many cases, or the file cannot be written.
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
    script, style = ((package / name).read_text(encoding="utf-8").strip() for name in ("page.js", "page.css"))
    script = f"{(files(signing.__package__) / 'sign.js').read_text(encoding='utf-8').strip()}\n{script}"
    page = digest("errors page", model, annotator, sorted(case.key for case in cases))
    setup = {"page": page, "form": FORM, "person": annotator, "key": signing.key(Run(analysis), page, annotator)}
    environment = Environment(
        loader=PackageLoader(__package__, ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("page.html.jinja").render(
        policy=policy(script, style),
        script=Markup(script),  # noqa: S704 (a file of this package)
        style=Markup(style),  # noqa: S704 (a file of this package)
        setup=Markup(block("setup", setup)),  # noqa: S704 (escaped by `block`)
        model=model,
        annotator=annotator,
        version=__version__,
        cases=[_values(case, images) for case in cases],
    )


def _values(case: Case, images: Path) -> dict[str, Any]:
    sample = case.sample
    return {
        "key": case.key,
        "sample": sample,
        "images": [_image(images, name) for name in sample.images],
        "options": list(zip(ascii_uppercase, sample.options, strict=False)),
        "reply": shortened(sample.prediction),
        "kinds": list(meanings(bool(sample.images)).items()),
    }


def _image(folder: Path, name: str) -> str:
    """The data URL of an image, or the sentence why it cannot be shown."""
    try:
        return review_images.picture(folder, name, _SIDE).url
    except ImageProblem as problem:
        return f"The image cannot be shown: {problem}"
