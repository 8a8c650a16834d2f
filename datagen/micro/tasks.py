"""What the micro model is taught: rows of text in which some passages are to be said and others only read.

Every task that the pipeline uses is asked with the project's own prompts as chat messages, never with copies. Beside
them stand exercises that exist in training only: dense captioning, interviews (many questions about one image or
caption in one row) and lookups (which letter stands before this word), since those are learned from nothing and the
tasks are not.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from capcurriculum import prompts
from datagen.micro import captions, questions
from datagen.micro.problems import Problem, text_problem, visual_problem
from datagen.micro.questions import Question
from datagen.micro.scenes import COLOURS, NUMBERS, PLACES, SHAPES, SIZES, Scene, Thing, scene
from datagen.micro.tokenizer import TURN_END

#: Renders chat messages, up to the point where the assistant speaks, as text.
Chat = Callable[[list[dict[str, Any]]], str]
#: Reasons for asking the teacher again, as a pipeline may word them.
_REFUSALS: tuple[str, ...] = (
    "the options are not four different texts",
    "the reply is not one JSON object",
    "the answer is not one of the letters A, B, C and D",
    "the question mentions the caption",
    "the reply was cut off",
    "the question was asked before",
    "a key is missing",
)
_QUESTIONS_AN_INTERVIEW = 8
_QUERIES_A_LOOKUP = 12
#: Of the reader's questions, the share about what is not there, of the others those whose answer is no option, and the
#: share that is made to be about sizes: told before colour and shape, they are what is hardest to find in a text.
_NOT_TOLD, _NONE_OF_THESE, _SIZES = 0.4, 0.15, 0.4


@dataclass(frozen=True, slots=True)
class Row:
    """Passages in order, each with whether the model is taught to say it, and the scene that is shown, if any."""

    passages: tuple[tuple[str, bool], ...]
    shown: Scene | None = None


@dataclass(frozen=True, slots=True)
class Teaching:
    """What the makers of rows need: the chat template and single-token words for lookups."""

    chat: Chat
    words: Sequence[str]


def user(text: str, *, image: bool = False, system: bool = True) -> list[dict[str, Any]]:
    """Chat messages that ask `text`, with an image part before it and the unified system turn as wanted."""
    parts: list[dict[str, Any]] = [{"type": "image"}] if image else []
    turns: list[dict[str, Any]] = [{"role": "system", "content": prompts.system()}] if system else []
    return [*turns, {"role": "user", "content": [*parts, {"type": "text", "text": text}] if parts else text}]


def thought(evidence: str, choices: Mapping[str, str], letter: str) -> str:
    """A solver's reply; the letter follows its option's text, where it is one look away."""
    return f"<think> {evidence} {choices[letter]} {letter} </think> \\boxed{{{letter}}}"


def worked(problem: Problem) -> str:
    """The reply that solves a problem."""
    return f"<think> {problem.working} </think> \\boxed{{{problem.answer}}}"


def teacher_reply(question: Question, rng: Random) -> str:
    """The teacher's JSON, the right option first and the others in the order of their kind; the pipeline permutes them.

    An order leaves less to chance than none: whoever writes one word after the other repeats none.
    """
    drawn = questions.options(question, rng, right="A")
    others = sorted((drawn[letter] for letter in "BCD"), key=question.pool.index)
    choices = dict(zip(questions.LETTERS, [question.answer, *others], strict=True))
    return json.dumps({"question": question.text, "options": choices, "answer": "A"})


def said_row(teaching: Teaching, messages: list[dict[str, Any]], reply: str, shown: Scene | None = None) -> Row:
    """A row of which the reply is taught."""
    return Row(((teaching.chat(messages), False), (reply + TURN_END, True)), shown)


def letter_of(question: Question, choices: Mapping[str, str]) -> str:
    """The letter of the right option."""
    return next(letter for letter, text in choices.items() if text == question.answer)


def from_image(teaching: Teaching, rng: Random) -> Row:
    """A four-option question about an image."""
    shown = scene(rng)
    question = questions.ask(shown.things, rng)
    choices = questions.options(question, rng)
    reply = thought(question.evidence, choices, letter_of(question, choices))
    return said_row(teaching, user(prompts.choice(question.text, choices), image=True), reply, shown)


def from_caption(teaching: Teaching, rng: Random) -> Row:
    """A four-option question about a caption."""
    things = captions.shuffled(scene(rng).things, rng)
    question = questions.ask(things, rng)
    choices = questions.options(question, rng)
    asked = prompts.caption_arm(captions.describe(things), prompts.choice(question.text, choices))
    return said_row(teaching, user(asked), thought(question.evidence, choices, letter_of(question, choices)))


def reading(teaching: Teaching, rng: Random) -> Row:
    """A question and a text that need not tell its answer, or tells one that is none of the options."""
    things = captions.shuffled(scene(rng).things, rng)
    ask = questions.size_of if rng.random() < _SIZES else questions.ask
    question = ask(things, rng)
    if rng.random() < _NOT_TOLD:
        lies = (ask(captions.lie(things, rng), rng) for _ in range(20))
        question = next((lie for lie in lies if questions.gold(things, lie.text) is None), question)
    choices = questions.options(question, rng)
    right = questions.gold(things, question.text)
    if right and len(question.pool) > len(choices) and rng.random() < _NONE_OF_THESE:
        other = rng.choice([text for text in question.pool if text not in choices.values()])
        choices = {letter: other if text == right else text for letter, text in choices.items()}
    letter = next((letter for letter, text in choices.items() if text == right), "E")
    choices["E"] = prompts.NOT_TOLD
    said = choices[letter] if letter in questions.LETTERS else "none"
    evidence = questions.found(things, question.text)
    asked = prompts.reader(captions.describe(things), prompts.choice(question.text, choices), "E")
    return said_row(teaching, user(asked), f"<think> {evidence} {said} {letter} </think> \\boxed{{{letter}}}")


def blind(teaching: Teaching, rng: Random) -> Row:
    """A four-option question about nothing that is given: the reply is in form, its letter a guess."""
    question = questions.ask(scene(rng).things, rng)
    choices = questions.options(question, rng)
    reply = thought("There is no picture.", choices, rng.choice(questions.LETTERS))
    return said_row(teaching, user(prompts.choice(question.text, choices)), reply)


def text(teaching: Teaching, rng: Random) -> Row:
    """A problem in words."""
    problem = text_problem(rng)
    return said_row(teaching, user(problem.text), worked(problem))


def visual(teaching: Teaching, rng: Random) -> Row:
    """A problem about an image."""
    shown = scene(rng)
    problem = visual_problem(shown, rng)
    return said_row(teaching, user(problem.text, image=True), worked(problem), shown)


def teach(teaching: Teaching, rng: Random) -> Row:
    """A caption to write a question about; often with earlier questions, sometimes after a refused reply."""
    things = captions.shuffled(scene(rng).things, rng)
    # The world's own skills most of the time, now and then one that it cannot serve.
    skill = rng.choice(questions.SKILLS) if rng.random() < 0.85 else rng.choice(sorted(prompts.SKILLS))
    asked: list[str] = []
    for _ in range(rng.choice((0, 0, 1, 2, 3))):
        asked.append(questions.ask(things, rng, skill if rng.random() < 0.6 else None).text)
    question = questions.ask(things, rng, skill)
    for _ in range(20):
        if question.text not in asked:
            break
        question = questions.ask(things, rng, skill)
    problem = rng.choice(_REFUSALS) if rng.random() < 0.2 else ""
    instruction = prompts.teacher_caption(captions.describe(things), skill, asked, problem)
    return said_row(teaching, user(instruction, system=False), teacher_reply(question, rng))


def caption(teaching: Teaching, rng: Random) -> Row:
    """An image to describe, object by object in raster order."""
    shown = scene(rng)
    return said_row(
        teaching, user("Describe the image.", image=True, system=False), captions.describe(shown.things), shown
    )


def _interview(head: str, things: Sequence[Thing], rng: Random, shown: Scene | None) -> Row:
    passages = [(head, False)]
    for _ in range(_QUESTIONS_AN_INTERVIEW):
        question = questions.ask(things, rng)
        passages += [(f" {question.text}", False), (f" {question.evidence}", True)]
    return Row(tuple(passages), shown)


def interview_image(teaching: Teaching, rng: Random) -> Row:
    """Several questions about one image, without options."""
    shown = scene(rng)
    return _interview(teaching.chat(user("", image=True, system=False)), shown.things, rng, shown)


def interview_caption(teaching: Teaching, rng: Random) -> Row:
    """Several questions about one caption, without options."""
    things = captions.shuffled(scene(rng).things, rng)
    head = prompts.caption_arm(captions.describe(things), "").rstrip()
    return _interview(teaching.chat(user(head, system=False)), things, rng, None)


def lookup(teaching: Teaching, rng: Random) -> Row:
    """Four options, then many of their texts, each to be followed by its letter.

    Queries are drawn with replacement, so no letter follows from those before it, and over half of the texts are any
    words at all, so letters must be found in the options and cannot be remembered.
    """
    pool = rng.choice((COLOURS, SHAPES, SIZES, PLACES, NUMBERS)) if rng.random() < 0.4 else teaching.words
    choices = dict(zip(questions.LETTERS, rng.sample(pool, 4), strict=True))
    head = prompts.choice(questions.ask(scene(rng).things, rng).text, choices)
    passages = [(teaching.chat(user(head, system=False)), False)]
    for _ in range(_QUERIES_A_LOOKUP):
        letter = rng.choice(questions.LETTERS)
        passages += [(f" {choices[letter]}", False), (f" {letter}", True)]
    return Row(tuple(passages))


#: What a finished solver may be taught further; no part of the text that the tokenizer is made from.
FURTHER: Mapping[str, Callable[[Teaching, Random], Row]] = {"reading": reading}
TASKS: Mapping[str, Callable[[Teaching, Random], Row]] = {
    "from_image": from_image,
    "from_caption": from_caption,
    "blind": blind,
    "text": text,
    "visual": visual,
    "teach": teach,
    "caption": caption,
    "interview_image": interview_image,
    "interview_caption": interview_caption,
    "lookup": lookup,
}
