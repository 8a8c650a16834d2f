"""Multiple-choice questions about scenes, and the judge that answers any of them from the truth.

The four options hold the answer and three values drawn uniformly from the same kind of value. The right answer of
every kind of question is spread as evenly over those values as the distractors are, so nothing can be gained without
seeing: places, colours, shapes and sizes are uniform by the way scenes are drawn, `_COUNT_WEIGHTS` even out the counts.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from datagen.micro.scenes import COLOURS, NUMBERS, PLACES, SHAPES, SIZES, Thing

SKILLS: tuple[str, ...] = ("spatial", "attribute", "count")
LETTERS = "ABCD"
#: Counts of a group that a question may have as its answer, and how much each is favoured where a scene offers it:
#: fitted on 20,000 scenes so that all four come out equally often.
_COUNT_WEIGHTS: tuple[float, ...] = (0.8, 1.0, 3.79, 5.99)


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its right answer; `pool` are the values options come from, `evidence` what one sees."""

    skill: str
    kind: str
    text: str
    answer: str
    pool: tuple[str, ...]
    evidence: str


def group(things: Sequence[Thing], word: str) -> list[Thing]:
    """The objects of that colour or shape."""
    return [thing for thing in things if word in (thing.colour, thing.shape)]


def places(things: Sequence[Thing]) -> str:
    """The places of `things`, one word each."""
    return " ".join(thing.place for thing in things) or "none"


def noun(word: str) -> str:
    """`red` -> `red objects`, `circle` -> `circles`."""
    return f"{word} objects" if word in COLOURS else "crosses" if word == "cross" else f"{word}s"


def where(things: Sequence[Thing], rng: Random) -> Question:
    """Where an object is."""
    thing = rng.choice(things)
    name = f"{thing.colour} {thing.shape}"
    return Question(
        "spatial", "where", f"Where is the {name}?", thing.place, PLACES, f"The {name} is at the {thing.place}."
    )


def colour_at(things: Sequence[Thing], rng: Random) -> Question:
    """The colour of the object at a place."""
    thing = rng.choice(things)
    text, evidence = f"What color is the object at the {thing.place}?", f"The object at the {thing.place} is"
    return Question("attribute", "colour_at", text, thing.colour, COLOURS, f"{evidence} {thing.colour}.")


def shape_at(things: Sequence[Thing], rng: Random) -> Question:
    """The shape of the object at a place."""
    thing = rng.choice(things)
    text, evidence = f"What shape is the object at the {thing.place}?", f"The object at the {thing.place} is a"
    return Question("attribute", "shape_at", text, thing.shape, SHAPES, f"{evidence} {thing.shape}.")


def size_of(things: Sequence[Thing], rng: Random) -> Question:
    """The size of an object."""
    thing = rng.choice(things)
    name = f"{thing.colour} {thing.shape}"
    text = f"How large is the {name}?"
    return Question("attribute", "size_of", text, thing.size, SIZES, f"The {name} is {thing.size}.")


def count_all(things: Sequence[Thing], rng: Random) -> Question:
    """How many objects there are: two to five, so the options are always the same four."""
    del rng
    number = NUMBERS[len(things)]
    return Question("count", "count_all", "How many objects are there?", number, NUMBERS[2:6], f"objects: {number}.")


def count_group(things: Sequence[Thing], rng: Random) -> Question:
    """How many objects have a shape: zero to three."""
    words: dict[int, list[str]] = {}
    for word in SHAPES:
        words.setdefault(len(group(things, word)), []).append(word)
    counts = [count for count in range(4) if count in words]
    count = rng.choices(counts, [_COUNT_WEIGHTS[count] for count in counts])[0]
    word = rng.choice(words[count])
    evidence = f"{noun(word)}: {places(group(things, word))} = {NUMBERS[count]}."
    return Question("count", "count_group", f"How many {noun(word)} are there?", NUMBERS[count], NUMBERS[:4], evidence)


_MAKERS: dict[str, tuple[Callable[[Sequence[Thing], Random], Question], ...]] = {
    "spatial": (where,),
    "attribute": (colour_at, shape_at, size_of),
    "count": (count_all, count_group),
}


def ask(things: Sequence[Thing], rng: Random, skill: str | None = None) -> Question:
    """A question about `things`; any skill but spatial and count is asked as an attribute, None draws one.

    The evidence lists objects in the order of `things`.
    """
    name = rng.choice(SKILLS) if skill is None else skill if skill in _MAKERS else "attribute"
    return rng.choice(_MAKERS[name])(things, rng)


def options(question: Question, rng: Random, right: str | None = None) -> dict[str, str]:
    """Four different options by letter, the answer under `right` or under a random letter."""
    texts = rng.sample([value for value in question.pool if value != question.answer], 3)
    texts.insert(LETTERS.index(right) if right else rng.randrange(4), question.answer)
    return dict(zip(LETTERS, texts, strict=True))


def found(things: Sequence[Thing], text: str) -> str:
    """What a reader looks at before it answers a question of this world from a text that names `things`.

    Where a question names a shape, it comes last and right behind the one that the text gives to that colour: whether
    two words are the same, a small model sees where they are neighbours. Place and size follow the shape, since who
    knows colour and shape finds them more easily than who knows the colour alone.
    """
    if text == "How many objects are there?":
        return f"objects: {NUMBERS[len(things)]}."
    if counted := re.fullmatch(r"How many (.+) are there\?", text):
        here = group(things, _singular(counted[1]) or "")
        return f"{counted[1]}: {places(here)} = {NUMBERS[len(here)]}."
    if placed := re.fullmatch(r"What (?:color|shape) is the object at the ([a-z-]+)\?", text):
        here = [thing for thing in things if thing.place == placed[1]]
        return f"At the {placed[1]}: {here[0].colour} {here[0].shape}." if here else f"At the {placed[1]}: none."
    named = re.fullmatch(r"(Where is|How large is) the ([a-z]+) ([a-z]+)\?", text)
    assert named, "no question of this world"
    here = [thing for thing in things if thing.colour == named[2]]
    if not here:
        return f"The {named[2]} object is none: none for {named[3]}."
    thing = here[0]
    value = thing.place if named[1] == "Where is" else thing.size
    return f"The {named[2]} object is a {thing.shape} {value}: {thing.shape} for {named[3]}."


def _singular(plural: str) -> str | None:
    return next((word for word in COLOURS + SHAPES if noun(word) == plural), None)


def gold(things: Sequence[Thing], text: str) -> str | None:
    """The answer that `things` give to a question in this world's words.

    None if the words are not a question of this world, or it has no single answer (no red circle, an empty place).
    """
    if text == "How many objects are there?":
        return NUMBERS[len(things)]
    if found := re.fullmatch(r"How many (.+) are there\?", text):
        word = _singular(found[1])
        return NUMBERS[len(group(things, word))] if word else None
    if found := re.fullmatch(r"What (color|shape) is the object at the ([a-z-]+)\?", text):
        here = [thing for thing in things if thing.place == found[2]]
        return (here[0].colour if found[1] == "color" else here[0].shape) if len(here) == 1 else None
    if found := re.fullmatch(r"(Where is|How large is) the ([a-z]+) ([a-z]+)\?", text):
        named = [thing for thing in things if (thing.colour, thing.shape) == (found[2], found[3])]
        return (named[0].place if found[1] == "Where is" else named[0].size) if len(named) == 1 else None
    return None
