"""Columns of questions and images in the benchmarks of this project.

The default is VLMEvalKit's TSV layout (`index, image, question, A, B, C, D, answer`); the others are those of the
original data sets.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from capcurriculum.errors import SourceError


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns to read, of which a file needs some."""

    questions: tuple[str, ...] = ("question",)
    images: tuple[str, ...] = ("image",)


DEFAULT = "vlmevalkit"
_DECODED = Layout(images=("decoded_image", "image"))
LAYOUTS: Mapping[str, Layout] = {
    DEFAULT: Layout(),
    "MMBench": Layout(),
    "MathVista": _DECODED,
    "MathVision": _DECODED,
    # The vision-only versions have an empty `question`.
    "MathVerse": Layout(questions=("question", "question_for_eval")),
    "WeMath": Layout(images=("image_path", "image")),
    "A-OKVQA": Layout(),
    "RealWorldQA": Layout(),
    "MMStar": Layout(),
    "POPE": Layout(),
}


def named(layout: str, questions: tuple[str, ...] = (), images: tuple[str, ...] = ()) -> Layout:
    """A known layout, with the given columns in place of its own.

    Raises:
        SourceError: the layout is unknown.
    """
    known = LAYOUTS.get(layout)
    if known is None:
        raise SourceError(
            f"There is no layout {layout!r}; known are {', '.join(LAYOUTS)}, or name the columns with --question and "
            "--image."
        )
    return Layout(questions or known.questions, images or known.images)
