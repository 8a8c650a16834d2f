"""Which columns of a benchmark hold its questions and its images, for the benchmarks this project measures on.

VLMEvalKit ships every benchmark as a TSV of one layout (`index, image, question, A, B, C, D, answer`), so that is the
default; the others are the layouts of the data sets that those TSVs were made from.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from capcurriculum.errors import SourceError


@dataclass(frozen=True, slots=True)
class Layout:
    """All of these columns that a file has are read."""

    questions: tuple[str, ...] = ("question",)
    images: tuple[str, ...] = ("image",)


DEFAULT = "vlmevalkit"
_DECODED = Layout(images=("decoded_image", "image"))
LAYOUTS: Mapping[str, Layout] = {
    DEFAULT: Layout(),
    "MMBench": Layout(),
    "MathVista": _DECODED,
    "MathVision": _DECODED,
    # The versions that are read from the picture alone have an empty `question`.
    "MathVerse": Layout(questions=("question", "question_for_eval")),
    "WeMath": Layout(images=("image_path", "image")),
    "A-OKVQA": Layout(),
    "RealWorldQA": Layout(),
    "MMStar": Layout(),
    "POPE": Layout(),
}


def named(layout: str, questions: tuple[str, ...] = (), images: tuple[str, ...] = ()) -> Layout:
    """A known layout, with other columns where they are given.

    Raises:
        SourceError: there is no such layout.
    """
    known = LAYOUTS.get(layout)
    if known is None:
        raise SourceError(
            f"There is no layout {layout!r}; known are {', '.join(LAYOUTS)}, or name the columns with --question and "
            "--image."
        )
    return Layout(questions or known.questions, images or known.images)
