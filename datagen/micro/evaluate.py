"""Measure the shipped checkpoints on scenes they never saw: `python -m datagen.micro.evaluate [NAME ...]`.

Training draws its scenes from one random stream, evaluation from named seeds of its own. Images pass through JPEG as
they do in an export. Every share is printed with its n and a 95 % Wilson interval.
"""

import argparse
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from capcurriculum import prompts
from capcurriculum.stats import wilson
from datagen.micro import CHECKPOINTS, captions, checkpoint, questions
from datagen.micro.export import jpeg
from datagen.micro.problems import Problem, text_problems, visual_problems
from datagen.micro.questions import Question
from datagen.micro.scenes import Scene, named_seed, scene
from datagen.micro.tasks import user
from datagen.micro.tokenizer import END_OF_TEXT, TURN_END

ARMS: tuple[str, ...] = ("image", "caption", "blind")
#: The temperature the demo's teacher writes at.
DEMO_TEACHING = 0.3
_BOX = re.compile(r"\\boxed\{([^{}]*)\}")


class Speaker:
    """The model and processor of a checkpoint folder, in float32; answers chat messages in batches."""

    def __init__(self, folder: Path | str) -> None:
        self.processor = AutoProcessor.from_pretrained(folder)
        self.model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()

    @torch.inference_mode()
    def say(
        self,
        chats: Sequence[list[dict[str, Any]]],
        images: Sequence[Image.Image] = (),
        *,
        temperature: float = 0.0,
        batch: int = 64,
        limit: int = 96,
    ) -> list[str]:
        """One reply a chat, of at most `limit` tokens and without its end mark; `batch` chats are answered at once.

        All chats have one image part and there are as many `images`, or none has. Greedy at temperature 0, otherwise
        torch's global generator is drawn from.
        """
        replies: list[str] = []
        draw = {"do_sample": True, "temperature": temperature} if temperature else {"do_sample": False}
        for start in range(0, len(chats), batch):
            some = list(chats[start : start + batch])
            texts = self.processor.apply_chat_template(some, tokenize=False, add_generation_prompt=True)
            shown = {"images": list(images[start : start + batch])} if images else {}
            given = self.processor(text=texts, **shown, padding=True, padding_side="left", return_tensors="pt")
            said = self.model.generate(**given, max_new_tokens=limit, **draw)[:, given["input_ids"].size(1) :]
            texts = self.processor.tokenizer.batch_decode(said, skip_special_tokens=False)
            replies += [str(text).split(TURN_END)[0].split(END_OF_TEXT)[0] for text in texts]
        return replies


@dataclass(frozen=True, slots=True)
class Held:
    """A held-out question: its scene, a true caption of it, and options by letter."""

    scene: Scene
    caption: str
    question: Question
    choices: dict[str, str]

    @property
    def problem(self) -> str:
        """The question as a solver sees it."""
        return prompts.choice(self.question.text, self.choices)

    @property
    def letter(self) -> str:
        """The right letter."""
        return next(letter for letter, text in self.choices.items() if text == self.question.answer)


def held_out(n: int, seed: int = 0) -> list[Held]:
    """`n` questions, as many of each skill, each about a scene of its own."""
    found = []
    for index in range(n):
        rng = named_seed("held out", seed, index)
        about = scene(rng)
        things = captions.shuffled(about.things, rng)
        question = questions.ask(things, rng, questions.SKILLS[index % len(questions.SKILLS)])
        found.append(Held(about, captions.describe(things), question, questions.options(question, rng)))
    return found


def picture(about: Scene) -> Image.Image:
    """The scene as it comes out of a JPEG file."""
    return Image.open(BytesIO(jpeg(about)))


def boxed(reply: str) -> str | None:
    """What stands in the last box of a reply."""
    found = _BOX.findall(reply)
    return found[-1].strip() if found else None


def solve(speaker: Speaker, asked: Sequence[Held], arm: str, temperature: float = 0.0) -> list[str]:
    """Replies to `asked` on one of the `ARMS`: from the image, from the caption, or blind."""
    texts = [prompts.caption_arm(q.caption, q.problem) if arm == "caption" else q.problem for q in asked]
    images = [picture(q.scene) for q in asked] if arm == "image" else []
    chats = [user(text, image=arm == "image") for text in texts]
    replies: list[str] = speaker.say(chats, images, temperature=temperature)
    return replies


def line(name: str, hits: Sequence[bool]) -> str:
    """One line of the table."""
    if not hits:
        return f"{name:<34} unknown n=0"
    low, high = wilson(sum(hits), len(hits))
    return f"{name:<34} {sum(hits) / len(hits):6.1%}  n={len(hits):<5} 95 % {low:.1%}-{high:.1%}"


def _by(name: str, groups: Sequence[str], hits: Sequence[bool]) -> Iterator[str]:
    """The line of all, then one a group."""
    yield line(name, hits)
    for group in sorted(set(groups)):
        yield line(f"  {group}", [hit for hit, g in zip(hits, groups, strict=True) if g == group])


def perception(speaker: Speaker, n: int, temperature: float = 0.0, arms: Sequence[str] = ARMS) -> Iterator[str]:
    """Lines on four-option questions, by arm and by kind of question, and how often a letter was boxed at all."""
    asked = held_out(n)
    kinds = [f"{q.question.skill}/{q.question.kind}" for q in asked]
    warmth = f" (temperature {temperature:g})" if temperature else ""
    for arm in arms:
        found = [boxed(reply) for reply in solve(speaker, asked, arm, temperature)]
        hits = [box == q.letter for box, q in zip(found, asked, strict=True)]
        yield from _by(f"perception from {arm}{warmth}", kinds, hits)
        yield line("  (a letter is boxed)", [box in questions.LETTERS if box else False for box in found])


def problems(speaker: Speaker, n: int, temperature: float = 0.0) -> Iterator[str]:
    """Lines on text and visual problems, by skill."""
    warmth = f" (temperature {temperature:g})" if temperature else ""
    sets: dict[str, list[Problem]] = {"text": list(text_problems(n, -1)), "visual": list(visual_problems(n, -1))}
    for name, given in sets.items():
        images = [picture(p.scene) for p in given if p.scene is not None]
        replies = speaker.say([user(p.text, image=bool(images)) for p in given], images, temperature=temperature)
        hits = [boxed(reply) == p.answer for reply, p in zip(replies, given, strict=True)]
        yield from _by(f"{name} problems{warmth}", [p.skill for p in given], hits)


def judge(reply: str, caption: str) -> tuple[bool, bool]:
    """Whether a teacher's reply is a well-formed question, and whether its gold answer is true to the caption."""
    try:
        said = json.loads(reply)
        choices = {letter: said["options"][letter] for letter in questions.LETTERS}
        text, gold = said["question"], choices[said["answer"]]
    except (ValueError, KeyError, TypeError):
        return False, False
    if len(said["options"]) != len(questions.LETTERS) or len(set(choices.values())) != len(choices):
        return False, False
    return True, questions.gold(captions.read(caption), text) == gold


def teacher(speaker: Speaker, n: int, temperature: float) -> Iterator[str]:
    """Lines on written questions: well-formed, gold true (of the well-formed), and not among those already asked."""
    asked = held_out(n, seed=1)
    skills = [q.question.skill for q in asked]
    before = [[q.question.text] if index % 2 else [] for index, q in enumerate(asked)]
    chats = [
        user(prompts.teacher_caption(q.caption, q.question.skill, earlier), system=False)
        for q, earlier in zip(asked, before, strict=True)
    ]
    replies = speaker.say(chats, temperature=temperature)
    judged = [judge(reply, q.caption) for reply, q in zip(replies, asked, strict=True)]
    warmth = f" (temperature {temperature:g})"
    yield line(f"teacher valid{warmth}", [valid for valid, _ in judged])
    kept = [(skill, true) for skill, (valid, true) in zip(skills, judged, strict=True) if valid]
    yield from _by(f"teacher gold true{warmth}", [skill for skill, _ in kept], [true for _, true in kept])
    fresh = [old[0] not in reply for old, reply in zip(before, replies, strict=True) if old]
    yield line("teacher asks something new", fresh)


def not_told(n: int, seed: int = 0) -> list[Held]:
    """`n` questions that their captions do not answer, since they are about what a lie would have told."""
    found, indices = list[Held](), count()
    while len(found) < n:
        rng = named_seed("not told", seed, next(indices))
        about = scene(rng)
        question = questions.ask(captions.lie(about.things, rng), rng)
        if questions.gold(about.things, question.text) is None:
            caption = captions.describe(captions.shuffled(about.things, rng))
            found.append(Held(about, caption, question, questions.options(question, rng)))
    return found


def read(speaker: Speaker, asked: Sequence[Held]) -> list[str | None]:
    """The letters a reader boxes from the captions; E says that they do not tell."""
    offered = [prompts.choice(q.question.text, {**q.choices, "E": prompts.NOT_TOLD}) for q in asked]
    chats = [user(prompts.reader(q.caption, text, "E")) for q, text in zip(asked, offered, strict=True)]
    return [boxed(reply) for reply in speaker.say(chats)]


def reading(speaker: Speaker, n: int) -> Iterator[str]:
    """Lines on what captions tell, and on what they do not."""
    told, other = held_out(n, seed=2), not_told(n)
    for name, asked, right in (("told", told, [q.letter for q in told]), ("not told", other, ["E"] * n)):
        hits = [box == letter for box, letter in zip(read(speaker, asked), right, strict=True)]
        yield from _by(f"reading what is {name}", [f"{q.question.skill}/{q.question.kind}" for q in asked], hits)


def report(folder: Path, n: int) -> Iterator[str]:
    """All lines for one checkpoint, as they are measured; draws from torch's generator, which is seeded first."""
    torch.manual_seed(0)
    speaker = Speaker(folder)
    yield from perception(speaker, n)
    yield from perception(speaker, n, temperature=1.0, arms=["image"])
    yield from problems(speaker, n)
    yield from problems(speaker, n, temperature=1.0)
    yield from teacher(speaker, n, DEMO_TEACHING)
    yield from teacher(speaker, n, 1.0)
    yield from reading(speaker, n)


def main() -> None:
    """Print the table of every checkpoint that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", default=list(CHECKPOINTS), help="checkpoints, or folders of others")
    parser.add_argument("-n", type=int, default=600, help="questions a measurement")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for name in asked.names:
        print(f"\n{name}")
        for text in report(checkpoint(name) if name in CHECKPOINTS else Path(name), asked.n):
            print(text, flush=True)


if __name__ == "__main__":
    main()
