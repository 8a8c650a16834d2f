"""The preflight's worker in this process, counting tokens with the micro model's tokenizer and no torch.

Only the processor stands in: `tokenizers`, the chat template and Qwen-VL's arithmetic give what it gives, which
`training/preflight/test_verl.py` holds against verl itself. For tests of everything around it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Template
from PIL import Image
from tokenizers import Tokenizer

from datagen import micro
from datagen.engines.smart_resize import PixelLimits, smart_size
from training.preflight.rows import lengths
from training.preflight.rows.pool import Pools
from training.preflight.rows.settings import Settings
from training.preflight.rows.worker import Worker

FACTOR = 32


@cache
def _files() -> tuple[Tokenizer, Template]:
    folder = micro.checkpoint("start")
    template = (folder / "chat_template.jinja").read_text(encoding="utf-8")
    return Tokenizer.from_file(str(folder / "tokenizer.json")), Template(template, trim_blocks=True, lstrip_blocks=True)


class LightLengths:
    """As `Lengths`, of a Qwen3-VL whose own limits are `least` and `most` pixels."""

    patch = 16

    def __init__(self, settings: Settings, least: int = 1024, most: int = 2**24) -> None:
        self.first = PixelLimits(settings.least or 4 * FACTOR**2, settings.most or 16384 * FACTOR**2, FACTOR)
        self.then = PixelLimits(least, most, FACTOR)

    def control_token(self, text: str) -> str:
        found = re.search(r"<\|\w+\|>", text)
        return found[0] if found else ""

    def count(self, turns: Sequence[Mapping[str, str]], sizes: Sequence[tuple[int, int]]) -> lengths.Count:
        tokenizer, template = _files()
        messages = [{**turn, "content": lengths._parts(turn["content"])} if sizes else dict(turn) for turn in turns]
        asks = turns[-1]["role"] != "assistant"
        text = template.render(messages=messages, add_generation_prompt=asks)
        seen = [smart_size(*smart_size(*size, self.first), self.then) for size in sizes]
        images = sum(width * height // FACTOR**2 for width, height in seen)
        return lengths.Count(len(tokenizer.encode(text).ids) - len(sizes) + images, images)

    def count_exactly(self, turns: Sequence[Mapping[str, str]], pictures: Sequence[Image.Image]) -> lengths.Count:
        return self.count(turns, [picture.size for picture in pictures])

    def disagreements(self) -> list[str]:
        return []


class Here:
    """A pool of this process."""

    def __init__(self, settings: Settings, cache: Path | None) -> None:
        self.worker = Worker(settings, cache)
        self.worker.__dict__["lengths"] = LightLengths(settings)

    def each(self, method: str, calls: Iterable[Sequence[Any]], rows: int) -> Iterator[Any]:
        return self.ordered(method, calls)

    def ordered(self, method: str, calls: Iterable[Sequence[Any]]) -> Iterator[Any]:
        return (self.one(method, *call) for call in calls)

    def one(self, method: str, *arguments: Any) -> Any:
        return getattr(self.worker, method)(*arguments)

    def end(self, *, wait: bool) -> None:
        """There is no process."""


@pytest.fixture
def light_preflight(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Preflight without torch; returns where it remembers results."""
    folder = tmp_path_factory.mktemp("preflight")
    monkeypatch.setenv("CAPCURRICULUM_CACHE", str(folder))
    pools: dict[Settings, Here] = {}

    def of(self: Pools, settings: Settings) -> Here:
        if settings not in pools:
            pools[settings] = Here(settings, self.cache)
        return pools[settings]

    monkeypatch.setattr(Pools, "of", of)
    return folder
