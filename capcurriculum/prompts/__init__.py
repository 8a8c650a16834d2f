"""Every prompt in one place: Jinja files with `StrictUndefined`, each known by the digest of its source.

Captions, problems and model output reach a template only as values, so a `{{ }}` inside them is text and nothing else.
The system prompt is the unified one of the released models (FACTS: README and evaluation configuration), and it is a
system turn wherever a solver answers: in probes, in rollouts, in training rows, in serving and in evaluation.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template, TemplateNotFound

from capcurriculum.errors import RecipeError

#: What the teacher is told to ask about, by the name that rows and recipes use.
SKILLS: Mapping[str, str] = {
    "spatial": "where something is",
    "attribute": "an attribute of one object",
    "count": "how many there are",
    "text": "text in the image",
    "small_object": "a small object",
    "comparison": "a comparison of two objects",
    "state": "the state of an object",
}

#: The last option of a reader.
NOT_TOLD = "none of these, or the caption does not tell"

_CONTROL = re.compile(r"<\||\|>")
_PLACEHOLDER = re.compile(r"<(?=/?(?:image|video|audio|think)>)", re.IGNORECASE)
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")

# No autoescape: prompts are text for a model, not HTML.
_ENVIRONMENT = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)  # noqa: S701


def names() -> list[str]:
    """All prompts."""
    return sorted(p.name.removesuffix(".jinja") for p in files(__package__).iterdir() if p.name.endswith(".jinja"))


@cache
def source(name: str) -> str:
    """The template's own text.

    Raises:
        RecipeError: there is no prompt of that name.
    """
    path = files(__package__) / f"{name}.jinja"
    if not path.is_file():
        known = ", ".join(names())
        raise RecipeError(f"There is no prompt named {name!r}; the prompts are: {known}.") from TemplateNotFound(name)
    return path.read_text(encoding="utf-8")


@cache
def _template(name: str) -> Template:
    return _ENVIRONMENT.from_string(source(name))


@cache
def digest(name: str) -> str:
    """First 16 hex digits of the sha256 of the template's source."""
    return hashlib.sha256(source(name).encode()).hexdigest()[:16]


def render(name: str, **values: object) -> str:
    """Fill a template; a value the template names and the caller forgot raises `jinja2.UndefinedError`."""
    return _template(name).render(**values)


@cache
def system() -> str:
    """The unified system prompt, the same bytes everywhere."""
    return render("system")


def choice(question: str, options: Mapping[str, str]) -> str:
    """A four-option question as a solver sees it; `options` maps A-D to texts, in that order."""
    return render("choice", question=question, options=options)


def caption_arm(caption: str, problem: str) -> str:
    """`problem` as it is asked from the caption instead of the image."""
    return render("caption_arm", caption=caption, problem=problem)


def both_arm(caption: str, problem: str) -> str:
    """`problem` as it is asked about an image whose caption is given too."""
    return render("both_arm", caption=caption, problem=problem)


def auditor(question: str, options: Mapping[str, str], answer: str, caption: str, *, image: bool) -> str:
    """What an auditor reads: a question with its marked answer, a letter. An empty `caption` is not shown."""
    return render("auditor", question=question, options=options, answer=answer, caption=caption, image=image)


def error_judge(
    question: str,
    options: Mapping[str, str],
    gold: str,
    answer: str,
    reply: str,
    kinds: Mapping[str, str],
    *,
    images: int,
) -> str:
    """What a judge of wrong answers reads; `kinds` maps the names it may choose from to what they mean, in that order.

    The line that ends the reply is one that the reply does not hold.
    """
    fence = f"==== {hashlib.sha256(reply.encode('utf-8', 'surrogatepass')).hexdigest()[:12]} ===="
    told = {"question": question, "options": options, "gold": gold, "answer": answer, "reply": reply, "kinds": kinds}
    return render("error_judge", **told, image=images, fence=fence)


def describe() -> str:
    """What an auditor that describes is told, unless the recipe has words of its own."""
    return render("describe")


def reader(caption: str, problem: str, letter: str) -> str:
    """`problem` as it is asked from a description, whose last option, `letter`, is `NOT_TOLD`."""
    return render("reader", caption=caption, problem=problem, letter=letter)


def teacher_caption(caption: str, skill: str, asked: Sequence[str] = (), problem: str = "") -> str:
    """What a teacher that sees the caption alone reads about a skill of ours.

    `asked` are earlier questions of the image, `problem` says why its last reply was refused.
    """
    return render("teacher_caption", caption=caption, skill=SKILLS[skill], asked=asked, problem=problem)


def neutral(text: str) -> str:
    """Untrusted text made safe for a chat prompt: no control characters, stripped at both ends.

    Control tokens such as `<|im_end|>` and placeholders such as `<image>`, which a chat template or a trainer would
    take for its own, are broken up by a space, so that a reader still sees them.
    """
    text = _UNPRINTABLE.sub("", text)
    text = _CONTROL.sub(lambda match: " ".join(match.group()), text)
    return _PLACEHOLDER.sub("< ", text).strip()
