"""Finished runs of three small stages for publishing, and this process's Hub clients pointed at a loopback server."""

import io
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from capcurriculum import prompts, recipe
from capcurriculum.recipe import Recipe
from capcurriculum.render.progress import Display
from capcurriculum.rows import LETTERS, Answer, Question, Verdict
from capcurriculum.run import Run, writing
from cards.staged import Staged
from curricula.make import STAGES, write_orders
from hub.publish import run as publishing
from tests.support.hub_server import Served

TOKEN = "hf_write"


def picture(number: int, side: int = 32, size: int = 0) -> bytes:
    """A PNG of noise, which no codec makes small; bytes behind its end, which no decoder reads, bring it to `size`."""
    pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    data = file.getvalue()
    return data + random.Random(number).randbytes(max(0, size - len(data)))


def wanted(folder: Path, **changes: Any) -> Recipe:
    """A recipe of three stages; `changes` replace top-level keys."""
    model = {"engine": "openai", "base_urls": ["http://10.1.2.3:8000/v1"], "api_key_env": "SECRET_CORP_KEY"}
    data: dict[str, Any] = {
        "name": "small",
        "runs": str(folder / "runs"),
        "models": {name: model | {"model": name} for name in ("teacher", "one", "two")}
        | {"policy": {"engine": "transformers", "model": "micro:start"}},
        "perception": {
            "source": {"kind": "docci", "path": str(folder / "docci"), "source": "docci"},
            "teacher": {"model": "teacher"},
            "probe": {"solvers": ["one", "two"]},
        },
        "text": {"source": {"kind": "problems", "path": str(folder / "text"), "source": "sums", "license": "mit"}},
        "visual": {
            "source": {"kind": "problems", "path": str(folder / "visual"), "source": "shapes", "license": "gpl-3.0"}
        },
        "rollouts": {"model": "policy", "k": 4},
        "split": {"val": 0.2, "test": 0.2},
        "training": {"backbone": "micro", "knobs": {"batch_size": 8, "mini_batch_size": 8}},
    }
    return recipe.parse(data | changes, "test")


def build(
    folder: Path,
    rows: int = 20,
    side: int = 32,
    size: int = 0,
    stages: tuple[str, ...] = ("perception", "text", "visual"),
    **changes: Any,
) -> Run:
    """A run with `rows` rows a stage, as a build leaves it, without asking any model."""
    made = wanted(
        folder, **{stage: None for stage in ("perception", "text", "visual") if stage not in stages} | changes
    )
    for name in ("docci", "visual"):
        (folder / name / "images").mkdir(parents=True, exist_ok=True)
    (folder / "docci" / "docci_descriptions.jsonlines").touch()
    questions = [q for stage in stages for q in _questions(folder, stage, rows, side, size)]
    with writing(made) as run:
        run.questions.append(questions)
        run.answers.append(reply for q in questions for reply in _replies(q))
        run.verdicts.append(
            Verdict(q.question_id, q.stage, section.name, True, "kept", params=section.digest(made))
            for q in questions
            for section in made.filters
            if q.stage in section.stages
        )
        write_orders(run, made, [STAGES, *made.curriculum.orders], Display())
    return run


def _questions(folder: Path, stage: str, rows: int, side: int, size: int) -> Iterator[Question]:
    for number in range(rows):
        name, options, answer = "", (), str(number)
        problem = f"What is {number} + 0?"
        if stage != "text":
            data = picture(number, side, size)
            name = f"images/{number}.png"
            (folder / ("docci" if stage == "perception" else stage) / name).write_bytes(data)
        if stage == "perception":
            options, answer = tuple(f"thing {number} {letter}" for letter in LETTERS), LETTERS[number % 4]
            problem = prompts.choice(f"What is in picture {number}?", dict(zip(LETTERS, options, strict=True)))
        yield Question(
            Question.key(stage, name, problem, answer), stage, problem, answer, options, "skill", name, name, "", "",
            {"perception": "docci", "text": "sums", "visual": "shapes"}[stage],
            {"perception": "cc-by-4.0", "text": "mit", "visual": "gpl-3.0"}[stage],
        )  # fmt: skip


def _replies(q: Question) -> Iterator[Answer]:
    right = int(q.question_id[:4], 16) % 5
    for rollout in range(4):
        outcome = "right" if rollout < right else "wrong"
        answer = q.answer if outcome == "right" else "none"
        key = f"{q.question_id}-{rollout}"
        yield Answer(key, q.question_id, "policy", "rollout", "image", rollout, "", answer, outcome, "stop", 1, 1, "d")


def plain_card(staged: Staged) -> list[Path]:
    """A card with what `datasets` needs; the real one has tests of its own, and draws pictures, which take time."""
    configs = [
        {"config_name": one.config, "data_files": [{"split": s, "path": p} for s, p in one.data_files.items()]}
        for one in staged.sets
    ]
    metadata = yaml.safe_dump({"license": "mit", "tags": ["capcurriculum"], "configs": configs})
    path = staged.folder / "README.md"
    path.write_text(f"---\n{metadata}---\n\n# {staged.recipe.name}\n", encoding="utf-8")
    return [path]


def environment(served: Served, home: Path, token: str = TOKEN) -> dict[str, str]:
    """What a process needs to take the server for the Hub."""
    return {
        "HF_ENDPOINT": served.hub.url,
        "HF_HOME": str(home),
        "HF_TOKEN": token,
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }


def connect(patch: pytest.MonkeyPatch, served: Served, home: Path, *, xet: bool = False) -> None:
    """The same for this process, whose libraries read their settings long ago; waits are short and cards plain."""
    import datasets
    import huggingface_hub
    from huggingface_hub import constants
    from huggingface_hub.utils import _http

    for name, value in environment(served, home).items():
        patch.setenv(name, value)
    url = served.hub.url
    patch.setattr(constants, "ENDPOINT", url)
    patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
    patch.setattr(constants, "HF_HUB_OFFLINE", False)
    patch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
    patch.setattr(constants, "HF_TOKEN_PATH", str(home / "token"))
    patch.setattr(constants, "HF_HUB_DISABLE_XET", not xet)
    patch.setattr(datasets.config, "HF_ENDPOINT", url)
    patch.setattr(datasets.config, "HUB_DATASETS_URL", url + "/datasets/{repo_id}/resolve/{revision}/{path}")
    patch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    patch.setattr(datasets.config, "HF_DATASETS_OFFLINE", False)
    patch.setattr(datasets.config, "HF_DATASETS_CACHE", str(home / "datasets"))
    huggingface_hub.HfFileSystem.clear_instance_cache()
    huggingface_hub.utils.disable_progress_bars()
    patch.setattr(_http.time, "sleep", lambda seconds, sleep=time.sleep: sleep(min(seconds, 0.01)))
    patch.setattr(publishing, "render", plain_card)
