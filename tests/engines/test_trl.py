"""TRL's GRPOTrainer on sets that this package builds, in its own environment, beside verl on the same files."""

import json
import shutil
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import engines
from benchmarks.engines import ENGINES, ask
from datagen import micro
from tests.capcurriculum.engines.test_trl import published
from tests.support import tiny_models
from tests.support.engines import needs
from tests.support.installed import needs as needs_packages

pytestmark = needs("trl")
needs_packages("verl", extra="train")

PROBLEMS = [
    ("<image>What is it?\nOptions:\nA: red\nB: blue\n", ["red"]),
    ("Left: <image> right: <image>\nWhich is red?", ["blue", "red"]),
    ("What is 1 + 1? It says <image>.", []),
    ("What lies on<image>\n it?", ["green"]),
]
TAG = "<image>"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("set") / "train.parquet"
    published(PROBLEMS).to_parquet(path)
    return path


@pytest.fixture(scope="module", params=["micro", "qwen2_5_vl"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    if request.param == "micro":
        return micro.checkpoint("hedging")
    return str(tiny_models.qwen2_5_vl(tmp_path_factory.mktemp("tiny") / "model"))


def shown(engine: str, *words: Any) -> dict[str, Any]:
    found: dict[str, Any] = ask(ENGINES[engine], "show", *map(str, words))
    return found


def test_the_model_sees_the_tokens_and_the_pixels_that_verl_shows(file: Path, model: str, tmp_path: Path) -> None:
    verl = shown("verl", file, model)
    assert [len(pictures) for pictures in verl["pixels"]] == [1, 2, 0, 1]
    assert shown("trl", file, model, tmp_path / "out") == verl


def test_limits_on_the_area_of_pictures_give_the_same_tokens(tmp_path: Path) -> None:
    """Pixels agree but for rounding: verl resizes with PIL before the processor sees a picture."""
    problems = [("<image>What is it?", ["red"]), ("What is 1 + 1?", []), (TAG * 2, ["blue", "green"])]
    published(problems, size=[(75, 531), (700, 140), (61, 64)]).to_parquet(tmp_path / "odd.parquet")
    wide = tmp_path / "model"  # as released processors are; the micro models' shows every picture in one size
    shutil.copytree(micro.checkpoint("start"), wide)
    told = json.loads((wide / "processor_config.json").read_text())
    told["image_processor"]["size"] = {"shortest_edge": 4096, "longest_edge": 1 << 20}
    (wide / "processor_config.json").write_text(json.dumps(told))
    words, limits = (tmp_path / "odd.parquet", wide), (16384, 65536)
    verl = shown("verl", *words, *limits)
    assert len(set(map(len, verl["ids"]))) == 3
    assert shown("trl", *words, tmp_path / "out", "rows", *limits)["ids"] == verl["ids"]


def test_unconverted_rows_show_the_tag_beside_the_picture(file: Path, tmp_path: Path) -> None:
    """What `rows` is there for; once TRL reads the tags itself, this fails and `rows` can go."""
    from transformers import AutoTokenizer

    start = micro.checkpoint("start")
    verl = shown("verl", file, start)
    plain = shown("trl", file, start, tmp_path / "out", "unconverted")
    assert plain["pixels"] == verl["pixels"]
    text = partial(AutoTokenizer.from_pretrained(start).decode, skip_special_tokens=True)
    assert [text(ids).count(TAG) for ids in plain["ids"]] == [1, 2, 1, 1]
    assert [text(ids).count(TAG) for ids in verl["ids"]] == [0, 0, 1, 0]


@pytest.mark.parametrize(
    "content",
    ["What is it?", [{"type": "image"}, {"type": "text", "text": "What is it?"}]],
    ids=["no tag", "blocks"],
)
def test_verl_refuses_each_shape_that_trl_would_read(content: Any) -> None:
    """No one `prompt` beside `images` serves both trainers with what they set by themselves."""
    from verl.utils.dataset.rl_dataset import RLHFDataset

    keys = SimpleNamespace(image_key="images", video_key="videos", audio_key="audios", processor=object())
    row = {"prompt": [{"role": "user", "content": content}], "images": published(PROBLEMS)[0]["images"]}
    with pytest.raises(AssertionError, match="image_offset 0 != len"):
        RLHFDataset._build_messages(keys, row, "prompt")


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return engines.build(tmp_path_factory.mktemp("world"))


@pytest.mark.parametrize("ranks", [1, 2])
def test_two_steps_of_grpo_learn_from_a_merged_set(merged: Path, tmp_path: Path, ranks: int) -> None:
    words = (str(merged), str(micro.checkpoint("hedging")), str(tmp_path))
    found = ask(ENGINES["trl"], "train", *words, ranks=ranks)
    assert found["steps"] == len(found["rewards"]) == 2
    assert {len(paid) for paid in found["rewards"]} == {16 * ranks}
    assert all(len(set(paid)) > 1 and set(paid) <= {0.0, 0.1, 0.9, 1.0} for paid in found["rewards"])
    assert any(found["losses"])
    assert found["moved"] == found["weights"]
    assert found["logit_shift"] > 0.1
    assert {"replies/right", "replies/unparsed", "replies/failed"} <= set(found["logged"])


def test_every_engine_scores_every_reply_alike() -> None:
    found = engines.scores()
    assert {"verl", "trl"} <= set(found)
    assert {len(one) for one in found.values()} == {1_000}
    assert {0.0, 0.1, 0.9, 1.0, None} <= set(found["verl"])
    assert engines.same_scores() == 1.0
