"""Dense captions of scenes, and captions that lie about exactly one attribute of one object.

A caption says how many objects there are and then names size, colour, shape and place of each, in shuffled order, as
DOCCI's captions are complete but follow no fixed order. It can be read back without loss: `read` inverts `describe`.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from random import Random

from datagen.micro.scenes import COLOURS, NUMBERS, PLACES, SHAPES, SIZES, Thing

_SENTENCE = re.compile(
    rf"A ({'|'.join(SIZES)}) ({'|'.join(COLOURS)}) ({'|'.join(SHAPES)}) is at the ({'|'.join(PLACES)})\."
)


def sentence(thing: Thing) -> str:
    """One object in words."""
    return f"A {thing.size} {thing.colour} {thing.shape} is at the {thing.place}."


def describe(things: Sequence[Thing]) -> str:
    """The caption that names `things` in the order given."""
    return " ".join([f"The image shows {NUMBERS[len(things)]} objects.", *map(sentence, things)])


def shuffled(things: Sequence[Thing], rng: Random) -> tuple[Thing, ...]:
    """`things` in random order."""
    return tuple(rng.sample(things, len(things)))


def read(caption: str) -> tuple[Thing, ...]:
    """The objects a caption names, in its order; sentences that name none are passed over."""
    found = _SENTENCE.findall(caption)
    return tuple(Thing(shape, colour, size, PLACES.index(place)) for size, colour, shape, place in found)


def lie(things: Sequence[Thing], rng: Random) -> tuple[Thing, ...]:
    """`things` with one attribute of one object changed, still a possible scene.

    Which attribute is uniform; the new value keeps cells and colours unique.
    """
    index = rng.randrange(len(things))
    old, others = things[index], [*things[:index], *things[index + 1 :]]
    colours = {thing.colour for thing in others}
    cells = {thing.cell for thing in others}
    choices = {
        "shape": [replace(old, shape=v) for v in SHAPES if v != old.shape],
        "colour": [replace(old, colour=v) for v in COLOURS if v != old.colour and v not in colours],
        "size": [replace(old, size=v) for v in SIZES if v != old.size],
        "cell": [replace(old, cell=v) for v in range(len(PLACES)) if v != old.cell and v not in cells],
    }
    new = rng.choice(choices[rng.choice(sorted(choices))])
    return (*things[:index], new, *things[index + 1 :])
