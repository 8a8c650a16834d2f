"""The text that the tokenizer is trained on: every task of the world, and everyday words beside it.

The everyday words give lookups something arbitrary to look up, and other text shorter encodings.
"""

from collections.abc import Iterator
from random import Random

import jinja2

from datagen.micro import tasks
from datagen.micro.tokenizer import CHAT_TEMPLATE

_TEXTS = 6_000
#: Each as often as needed to be merged before rare byte pairs are.
_REPEATS = 12
EVERYDAY = [
    "able", "age", "and", "army", "bag", "beat", "below", "blow", "bought", "bridge", "bus", "came", "care", "chair",
    "church", "clock", "collect", "control", "cost", "cross", "dark", "degree", "direct", "door", "drop", "east",
    "element", "even", "excite", "fair", "favor", "figure", "first", "follow", "free", "garden", "glass", "great",
    "half", "heart", "hold", "house", "imagine", "iron", "kind", "language", "leg", "line", "lone", "magnet", "master",
    "melody", "minute", "month", "mouth", "neck", "noise", "offer", "orange", "oxygen", "pass", "person", "plain",
    "poem", "pound",
]  # fmt: skip


def texts() -> Iterator[str]:
    """Rows of every task, the same ones every time, then the everyday words."""
    template = jinja2.Environment(autoescape=False).from_string(CHAT_TEMPLATE)  # noqa: S701 - text for a model
    teaching = tasks.Teaching(lambda turns: template.render(messages=turns, add_generation_prompt=True), EVERYDAY)
    rng = Random(1)
    names = sorted(tasks.TASKS)
    for index in range(_TEXTS):
        row = tasks.TASKS[names[index % len(names)]](teaching, rng)
        yield "".join(text for text, _ in row.passages)
    for _ in range(_REPEATS):
        yield "".join(f" {word}" for word in EVERYDAY)
