"""Wrong answers to questions about scenes, whose mistakes are known, and a judge on loopback of known accuracy.

A reply says what it saw and what it chose. Where it saw what is there, and chose something else, its mistake is one of
reasoning; where it saw something else, one of perception, of which kind depends on what was asked. The judge is told
nothing but the prompt: it compares what the reply saw with the right answer there, and slips as often as planted.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from datagen.micro import questions, render, scenes
from evaluation.results import samples
from evaluation.results.samples import Sample
from tests.support import pictures, results_data
from tests.support.endpoint import Endpoint, unit

KINDS = {"spatial": "wrong_relation", "attribute": "wrong_object", "count": "wrong_count"}
_LABEL = "tested"
_BLANK = pictures.png(pictures.noise(0, 32))


def planted(folder: Path, count: int, share: float, seed: int = 0, shown: str = "drawn") -> dict[str, str]:
    """Put `count` wrong replies into an evaluation folder, and some that are not; sample id -> the planted mistake.

    Each is one of perception with probability `share`. The pictures `shown` are drawn, blank (quickly there) or none.
    """
    (folder / samples.IMAGES).mkdir(parents=True, exist_ok=True)
    truth: dict[str, str] = {}
    rows: list[Sample] = []
    for number, scene in enumerate(scenes.scenes(count, seed)):
        rng = Random(f"{seed} {number}")
        asked = questions.ask(scene.things, rng)
        options = questions.options(asked, rng)
        gold = next(letter for letter, text in options.items() if text == asked.answer)
        chosen = rng.choice([letter for letter in options if letter != gold])
        perception = rng.random() < share
        truth[str(number)] = KINDS[asked.skill] if perception else "reasoning"
        name = f"{samples.IMAGES}/{seed:04x}{number:012x}.png"
        if shown == "drawn":
            render.render(scene).save(folder / name)
        elif shown == "blank":
            (folder / name).write_bytes(_BLANK)
        seen = options[chosen if perception else gold]
        rows.append(
            results_data.reply(
                _LABEL, "scenes", number, "wrong", images=() if shown == "none" else (name,), question=asked.text,
                options=tuple(options.values()), gold=gold, answer=chosen, skill=asked.skill,
                prediction=f"<think> I see: {seen}. </think> \\boxed{{{chosen}}}",
            )
        )  # fmt: skip
    rest = ("right", "right", "unparsed", "failed")
    rows += [results_data.reply(_LABEL, "scenes", f"other {n}", outcome) for n, outcome in enumerate(rest)]
    results_data.write(folder, rows)
    return truth


@dataclass
class Judge(Endpoint):
    """A judge that is right with probability `accuracy`, in each vote anew, and else says the other side."""

    accuracy: float = 1.0
    shown: list[tuple[str, int]] = field(default_factory=list)

    def reply(self, body: dict[str, Any]) -> str:
        """The vote, from the prompt alone."""
        content = body["messages"][-1]["content"]
        parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
        text = "\n".join(part.get("text", "") for part in parts)
        with self.lock:
            self.shown.append((text, sum(part["type"] == "image_url" for part in parts)))
        kind = judged(text)
        if unit("slip", text) >= self.accuracy:
            kind = "reasoning" if kind != "reasoning" else "wrong_object"
        return json.dumps({"seen": "this", "mistake": "that", "kind": kind})


def judged(text: str) -> str:
    """What a perfect judge makes of a prompt."""
    options = dict(re.findall(r"^([A-D]): (.*)$", text, re.MULTILINE))
    gold = options[re.findall(r"^Right answer: ([A-D])$", text, re.MULTILINE)[0]]
    question, seen = re.findall(r"^Question: (.*)$", text, re.MULTILINE)[0], re.findall(r"I see: (.*?)\. <", text)[0]
    if seen == gold:
        return "reasoning"
    skill = "count" if question.startswith("How many") else "spatial" if question.startswith("Where") else "attribute"
    return KINDS[skill]


def people(truth: Mapping[str, str], cases: Mapping[str, str], accuracy: float, seed: int = 0) -> dict[str, str]:
    """Case key -> what one person says of it; `cases` maps keys to sample ids."""
    found = {}
    for key, sample in cases.items():
        slip = unit("person", str(seed), key) >= accuracy
        found[key] = ("reasoning" if truth[sample] != "reasoning" else "wrong_object") if slip else truth[sample]
    return found
