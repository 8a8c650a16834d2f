"""A micro checkpoint that answers rows and is rewarded as in training."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerFast, Qwen3VLForConditionalGeneration

from benchmarks import curricula_packed as packed
from benchmarks.curricula_packed import Prompt
from benchmarks.curricula_rows import Task
from datagen.micro import batches, learning
from datagen.micro.evaluate import picture
from datagen.micro.model import IMAGE_TOKENS
from datagen.micro.render import SIDE
from datagen.micro.tasks import user
from datagen.micro.tokenizer import TURN_END
from training import reward

#: Prompts that are answered at once.
_BATCH = 128


@dataclass(frozen=True, slots=True)
class Reply:
    """The tokens of a reply, and what the reward says of it: `score` is what GRPO sees."""

    ids: list[int]
    score: float
    right: bool
    readable: bool


class Book:
    """Rows as prompts; each is encoded and its picture drawn once, for all models of one tokenizer."""

    def __init__(self, words: PreTrainedTokenizerFast, model: Qwen3VLForConditionalGeneration) -> None:
        self.words, self._encoder, self._model = words, batches.Encoder(words), model
        self._made: dict[tuple[str, str], Prompt] = {}

    def prompt(self, task: Task) -> Prompt:
        """The prompt of a row, with the project's system turn."""
        key = (task.name, task.text)
        if key not in self._made:
            self._made[key] = self._make(task)
        return self._made[key]

    def _make(self, task: Task) -> Prompt:
        shown = task.scene is not None
        chat = self.words.apply_chat_template(user(task.text, image=shown), tokenize=False, add_generation_prompt=True)
        image = self._encoder.image
        ids = [i for token in self._encoder.ids(str(chat)) for i in [token] * (IMAGE_TOKENS if token == image else 1)]
        if task.scene is None:
            return Prompt(ids, torch.arange(len(ids)).expand(3, -1), None)
        tokens = torch.tensor([ids])
        side = SIDE // self._model.config.vision_config.patch_size
        positions, _ = self._model.model.get_rope_index(
            tokens, image_grid_thw=torch.tensor([[1, side, side]]), mm_token_type_ids=(tokens == image).int()
        )
        return Prompt(ids, positions[:, 0], batches.patches(np.array(picture(task.scene))[None]))


def load(folder: Path) -> Qwen3VLForConditionalGeneration:
    """The model of a checkpoint folder in float32, made quick for a CPU."""
    model = Qwen3VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    learning.quicken(model)
    return model


def book(folder: Path) -> Book:
    """A book for the models that come from this checkpoint."""
    return Book(AutoTokenizer.from_pretrained(folder), load(folder))


def answer(
    model: Qwen3VLForConditionalGeneration, of: Book, tasks: Sequence[Task], replies: int, seed: int
) -> list[list[Reply]]:
    """For each row so many replies at temperature 1; the same seed gives every model the same draws."""
    end = int(of.words.convert_tokens_to_ids(TURN_END))
    random = torch.Generator().manual_seed(seed)
    said: list[list[list[int]]] = []
    for first in range(0, len(tasks), _BATCH):
        prompts = [of.prompt(task) for task in tasks[first : first + _BATCH]]
        draws = torch.rand(len(prompts), replies, packed.LIMIT, generator=random)
        said += packed.sample(model, prompts, draws, end)
    return [[_rewarded(of, task, ids) for ids in own] for task, own in zip(tasks, said, strict=True)]


def _rewarded(of: Book, task: Task, ids: list[int]) -> Reply:
    text = of.words.decode(ids, skip_special_tokens=True)
    found = reward.compute_score(task.stage, text, task.answer, {"options": task.options})
    return Reply(ids, float(found["score"]), found["outcome"] == "right", found["outcome"] in ("right", "wrong"))
