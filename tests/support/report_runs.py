"""Runs of any size for the report, made without asking a model: rows and replies are planted, filters judge them."""

import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from capcurriculum import prompts, recipe
from capcurriculum.recipe.filter_section import Phase
from capcurriculum.rows import LETTERS, Answer, CaptionedImage, Question, Verdict
from capcurriculum.run import Run, writing
from datagen.sources import gather
from filters import pipeline
from tests.support import pictures

#: What must be shown and never run, and other text that breaks careless pages.
NASTY = (
    "</script><script>globalThis.owned = 1</script>",
    '<img src=x onerror="globalThis.owned = 2">',
    "{{ 7 * 7 }} {% raw %} <!-- <![CDATA[ -->",
    "\u202eright to left\u202c שאלה \u2028 \u0000 & \"quotes' `ticks` ${owned}",
    "javascript:globalThis.owned=3",
)
_MODEL = {"engine": "openai", "base_urls": ["http://127.0.0.1:9/v1"]}
_SHOWN = ("image", "caption", "blind", "swapped")
_FLUSH = 2_000


def make(folder: Path, questions: int, images: int = 12, nasty: bool = False, k: int = 4) -> Run:
    """A run of `questions` perception questions over `images` pictures, a tenth as many sums, and some lost lines."""
    data = {
        "name": "planted",
        "runs": str(folder),
        "models": {name: _MODEL | {"model": name} for name in ("teacher", "one", "two", "policy")},
        "perception": {
            "source": {"kind": "docci", "path": str(folder / "docci"), "source": "pictures", "license": "cc-by-4.0"},
            "teacher": {"model": "teacher"},
            "probe": {"solvers": ["one", "two"]},
        },
        "text": {"source": {"kind": "problems", "path": str(folder / "text"), "source": "sums", "license": "mit"}},
        "rollouts": {"model": "policy", "k": k, "above": 0.0},
        "filters": [{"name": name} for name in ("perception", "blind", "rollouts", "difficulty")],
    }
    wanted = recipe.parse(data, "planted")
    _release(folder, images)
    with writing(wanted) as run:
        drawn = random.Random(questions)
        rows = iter(_questions(questions, images, nasty, drawn))
        while window := list(islice(rows, _FLUSH)):
            run.questions.append(window)
            run.answers.append(a for q in window for a in _replies(q, k, nasty, drawn))
        run.captions.append(_caption(number, nasty) for number in range(images))
        run.verdicts.append(Verdict(f"c{n}", "perception", "teacher", True, "kept") for n in range(images))
        run.verdicts.append(_lost(number, nasty) for number in range(max(3, questions // 100)))
        for phase in Phase:
            pipeline.run_phase(gather.setting(run, wanted), phase)
    return run


def _release(folder: Path, images: int) -> None:
    place = folder / "docci" / "images"
    place.mkdir(parents=True)
    (folder / "docci" / "docci_descriptions.jsonlines").touch()
    for number in range(images):
        (place / f"{number}.jpg").write_bytes(pictures.jpeg(pictures.noise(number)))


def _text(words: str, number: int, nasty: bool) -> str:
    return f"{words} {NASTY[number % len(NASTY)]}" if nasty else words


def _caption(number: int, nasty: bool) -> CaptionedImage:
    caption = _text(f"Soft patches, number {number}.", number, nasty)
    return CaptionedImage(
        f"c{number}", f"r{number}", f"i{number}", f"images/{number}.jpg", caption, "pictures", "cc-by-4.0", f"e{number}"
    )


def _questions(count: int, images: int, nasty: bool, drawn: random.Random) -> Iterator[Question]:
    for number in range(count):
        image = number % images
        text = _text(f"What colour is patch {number} of the picture?", number, nasty)
        colours = drawn.sample(("red", "green", "blue", "white", "grey", "pink", "brown"), 4)
        options = tuple(_text(colour, number + place, nasty) for place, colour in enumerate(colours))
        key = drawn.choice(LETTERS)
        problem = prompts.choice(text, dict(zip(LETTERS, options, strict=True)))
        caption = _caption(image, nasty)
        yield Question(
            Question.key("perception", caption.image_id, problem, key), "perception", problem, key, options,
            ("attribute", "spatial", "count")[number % 3], caption.image_id, caption.image_path, caption.caption,
            caption.caption_id, "pictures", "cc-by-4.0", text=text, model="teacher",
        )  # fmt: skip
    for number in range(max(4, count // 10)):
        problem, answer = _text(f"What is {number} + {number + 1}?", number, nasty), str(2 * number + 1)
        key = Question.key("text", "", problem, answer)
        yield Question(key, "text", problem, answer, (), "sum", "", "", "", "", "sums", "mit")


def _replies(question: Question, k: int, nasty: bool, drawn: random.Random) -> Iterator[Answer]:
    ease = drawn.random()
    if question.options:
        for solver in ("one", "two"):
            for arm, chance in zip(_SHOWN, (0.5, 0.97, 0.25, 0.2), strict=True):
                yield _reply(question, solver, "probe", arm, 0, drawn.random() < chance, nasty)
    for rollout in range(k):
        arm = "image" if question.options else "text"
        yield _reply(question, "policy", "rollout", arm, rollout, drawn.random() < ease, nasty)


def _reply(q: Question, solver: str, purpose: str, arm: str, rollout: int, right: bool, nasty: bool) -> Answer:
    other = LETTERS[(LETTERS.index(q.answer) + 1) % 4] if q.options else "0"
    answer = q.answer if right else other
    text = _text(f"<think> The patch speaks for {answer}. </think> \\boxed{{{answer}}}", rollout, nasty)
    key = f"{q.question_id}{solver}{purpose}{arm}{rollout}"
    outcome = "right" if right else "wrong"
    return Answer(key, q.question_id, solver, purpose, arm, rollout, text, answer, outcome, "stop", 20, 12, "")


def _lost(number: int, nasty: bool) -> Verdict:
    reason = ("missing_file", "empty_caption")[number % 2]
    return Verdict(f"line{number}", "perception", "source", False, reason, _text(f"line {number}", number, nasty))
