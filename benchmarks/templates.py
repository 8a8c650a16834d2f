"""Questions about pictures of blocks, from templates in the manner of CLEVR and CLEVR-Math."""

import random

_SIZES, _MATERIALS = ("large", "small", "tiny", "big"), ("rubber", "metal", "matte", "shiny", "metallic")
_COLOURS = ("gray", "red", "blue", "green", "brown", "purple", "cyan", "yellow")
_SHAPES, _PLACES = (
    ("ball", "cube", "cylinder", "sphere", "block", "thing"),
    ("left of", "right of", "behind", "in front of"),
)
_TEMPLATES = (
    "Subtract all {0}s. How many objects are left?",
    "Subtract all {0}s. Subtract all {1}s. How many objects are left?",
    "Subtract {n} {0}s. How many {1}s are left?",
    "Add {n} {0}s. How many {1}s exist?",
    "How many {0}s must be subtracted to get {n} {1}s?",
    "There is a {0} that is {at} the {1}; what is its color?",
    "How many other objects are of the same material as the {0} that is {at} the {1} on the left side of the {2}?",
    "Are there more {0}s {at} the {1} than {2}s?",
    "Is the number of {0}s that are {at} the {1} the same as the number of {2}s?",
)


def questions(count: int, seed: int) -> list[str]:
    """So many, of which some may be equal."""
    draw = random.Random(seed)
    return [_question(draw) for _ in range(count)]


def _question(draw: random.Random) -> str:
    things = [_thing(draw) for _ in range(3)]
    return draw.choice(_TEMPLATES).format(*things, n=draw.randint(1, 6), at=draw.choice(_PLACES))


def _thing(draw: random.Random) -> str:
    said = [draw.choice(words) for words in (_SIZES, _COLOURS, _MATERIALS) if draw.random() < 0.6]
    return " ".join([*said, draw.choice(_SHAPES)])
