"""Problems with a number as their answer: arithmetic in words alone, and arithmetic about an image.

Text problems play with the world's shapes but need no image; visual problems follow CLEVR-Math (count, compare, add,
remove) and need one. Each carries the working that leads to its answer, one step a sentence, so that a model can be
taught to think in steps and a reader can check the number.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from datagen.micro.questions import Question, group, noun, places
from datagen.micro.scenes import COLOURS, NUMBERS, SHAPES, Scene, Thing, named_seed, scene

_NAMES = ("Mia", "Tom", "Ana", "Ben", "Zoe", "Leo")
_GETS = ("finds", "buys", "draws")
_LOSES = ("gives away", "loses", "erases")


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem, its answer in digits, its skill, the working, and the scene it is about (None: text alone)."""

    text: str
    answer: str
    skill: str
    working: str
    scene: Scene | None = None


def _text(text: str, skill: str, *steps: tuple[int, str, int]) -> Problem:
    """A text problem whose answer is the result of the last of `steps` (left, operator, right)."""
    results = [{"+": a + b, "-": a - b, "*": a * b}[operator] for a, operator, b in steps]
    working = " ".join(f"{a} {operator} {b} = {r}." for (a, operator, b), r in zip(steps, results, strict=True))
    return Problem(text, str(results[-1]), skill, working)


def _counted(count: int, word: str) -> str:
    """`1 circle`, `2 circles`, `1 red object`."""
    return f"{count} {noun(word)}" if count > 1 else f"{count} {word} object" if word in COLOURS else f"{count} {word}"


def _addition(rng: Random) -> Problem:
    a, b = rng.randint(1, 9), rng.randint(1, 9)
    first, second = rng.sample(SHAPES, 2)
    text = f"A picture shows {_counted(a, first)} and {_counted(b, second)}. How many objects does it show?"
    return _text(text, "addition", (a, "+", b))


def _subtraction(rng: Random) -> Problem:
    a = rng.randint(3, 12)
    b = rng.randint(1, a - 1)
    shapes = noun(rng.choice(SHAPES))
    text = f"{rng.choice(_NAMES)} has {a} {shapes} and {rng.choice(_LOSES)} {b}. How many {shapes} are left?"
    return _text(text, "subtraction", (a, "-", b))


def _multiplication(rng: Random) -> Problem:
    a, b = rng.randint(2, 5), rng.randint(2, 5)
    shapes = noun(rng.choice(SHAPES))
    text = f"A picture shows {a} rows of {b} {shapes}. How many {shapes} does it show?"
    return _text(text, "multiplication", (a, "*", b))


def _comparison(rng: Random) -> Problem:
    a = rng.randint(3, 12)
    b = rng.randint(1, a - 1)
    (one, other), shapes = rng.sample(_NAMES, 2), noun(rng.choice(SHAPES))
    text = f"{one} has {a} {shapes} and {other} has {b}. How many more {shapes} has {one} than {other}?"
    return _text(text, "comparison", (a, "-", b))


def _gain_and_loss(rng: Random) -> Problem:
    a, b = rng.randint(2, 9), rng.randint(2, 9)
    c = rng.randint(1, a + b - 1)
    shapes = noun(rng.choice(SHAPES))
    text = (
        f"{rng.choice(_NAMES)} has {a} {shapes}, {rng.choice(_GETS)} {b} and {rng.choice(_LOSES)} {c}. "
        f"How many {shapes} are left?"
    )
    return _text(text, "two_step", (a, "+", b), (a + b, "-", c))


def _together(rng: Random) -> Problem:
    a, b = rng.randint(1, 7), rng.randint(1, 6)
    (one, other), shape = rng.sample(_NAMES, 2), rng.choice(SHAPES)
    shapes = noun(shape)
    text = f"{one} has {_counted(a, shape)}. {other} has {b} more than {one}. How many {shapes} have they together?"
    return _text(text, "two_step", (a, "+", b), (a, "+", a + b))


def _rows_but(rng: Random) -> Problem:
    a, b = rng.randint(2, 5), rng.randint(2, 5)
    c = rng.randint(2, a * b - 1)
    colour, shapes = rng.choice(COLOURS), noun(rng.choice(SHAPES))
    text = (
        f"A picture shows {a} rows of {b} {shapes}, and {c} of them are {colour}. How many {shapes} are not {colour}?"
    )
    return _text(text, "two_step", (a, "*", b), (a * b, "-", c))


_TEXT: tuple[Callable[[Random], Problem], ...] = (
    _addition, _subtraction, _multiplication, _comparison, _gain_and_loss, _together, _rows_but,
)  # fmt: skip


def text_problem(rng: Random) -> Problem:
    """One problem in words; every template is equally likely."""
    return rng.choice(_TEXT)(rng)


def _listed(name: str, things: Sequence[Thing]) -> str:
    """A step of looking: of what, where, how many."""
    return f"{name}: {places(things)} = {len(things)}."


def _present(things: Sequence[Thing], rng: Random, share: float = 0.8) -> str:
    """A colour or shape; with chance `share` one that the image holds."""
    words = COLOURS if rng.random() < 0.5 else SHAPES
    held = [word for word in words if group(things, word)]
    return rng.choice(held if rng.random() < share else words)


def _count(things: Sequence[Thing], rng: Random) -> Problem:
    word = _present(things, rng)
    chosen = group(things, word)
    return Problem(f"How many {noun(word)} are there?", str(len(chosen)), "count", _listed(noun(word), chosen))


def _compare(things: Sequence[Thing], rng: Random) -> Problem:
    first = _present(things, rng)
    second = rng.choice([word for word in COLOURS + SHAPES if word != first and group(things, word)])
    (more, many), (less, few) = sorted(
        ((word, group(things, word)) for word in (first, second)), key=lambda pair: -len(pair[1])
    )
    working = (
        f"{_listed(noun(more), many)} {_listed(noun(less), few)} {len(many)} - {len(few)} = {len(many) - len(few)}."
    )
    text = f"How many more {noun(more)} than {noun(less)} are there?"
    return Problem(text, str(len(many) - len(few)), "compare", working)


def _remove(things: Sequence[Thing], rng: Random) -> Problem:
    word = _present(things, rng, share=1.0)
    gone = group(things, word)
    left = len(things) - len(gone)
    working = f"{_listed('objects', things)} {_listed(noun(word), gone)} {len(things)} - {len(gone)} = {left}."
    return Problem(f"Remove all {noun(word)}. How many objects are left?", str(left), "remove", working)


def _add(things: Sequence[Thing], rng: Random) -> Problem:
    word = _present(things, rng)
    extra, chosen = rng.randint(1, 5), group(things, word)
    working = f"{_listed(noun(word), chosen)} {len(chosen)} + {extra} = {len(chosen) + extra}."
    return Problem(
        f"Add {_counted(extra, word)}. How many {noun(word)} are there?", str(len(chosen) + extra), "add", working
    )


_VISUAL: tuple[Callable[[Sequence[Thing], Random], Problem], ...] = (_count, _compare, _remove, _add)


def visual_problem(about: Scene, rng: Random) -> Problem:
    """One problem about `about`; every template is equally likely."""
    drawn = rng.choice(_VISUAL)(about.things, rng)
    return Problem(drawn.text, drawn.answer, drawn.skill, drawn.working, about)


def countable_problem(about: Scene, rng: Random) -> Problem:
    """A problem about `about` whose answer is one of the numbers that questions are answered with, zero to five."""
    problem = visual_problem(about, rng)
    return problem if int(problem.answer) < len(NUMBERS) else countable_problem(about, rng)


def as_question(problem: Problem) -> Question:
    """A countable problem as a question with number words as options, its working the evidence, in words as well."""
    evidence = re.sub(r"\d+", lambda digits: NUMBERS[int(digits[0])], problem.working)
    return Question(problem.skill, "problem", problem.text, NUMBERS[int(problem.answer)], NUMBERS, evidence)


def text_problems(n: int, seed: int) -> Iterator[Problem]:
    """`n` problems in words, one at a time; repeats can occur, as the numbers are small."""
    for index in range(n):
        yield text_problem(named_seed("text problem", seed, index))


def visual_problems(n: int, seed: int) -> Iterator[Problem]:
    """`n` problems, each about a scene of its own."""
    for index in range(n):
        rng = named_seed("visual problem", seed, index)
        yield visual_problem(scene(rng), rng)
