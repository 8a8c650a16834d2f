"""The lines of a set's card load it with `datasets` alone, as they stand there, and the viewer finds its images."""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from huggingface_hub import constants
from PIL import Image

from capcurriculum.render.progress import Display
from cards.dataset.card import render
from curricula.stage_rows import features
from hub.publish import run as publishing
from tests.support import hub_runs
from tests.support.hub_server import Served

_SPLITS = ("train", "val", "test")


@pytest.fixture
def published(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any) -> Served:
    """A run with its real cards, in a repo for each set or in one for all."""
    monkeypatch.setattr(publishing, "render", render)
    run = hub_runs.build(tmp_path / "run", rows=15, stages=("text", "visual"))
    publishing.publish(run, publishing.Wanted(one_repo=request.param, collection=False), Display())
    return served


def run_lines(
    served: Served, repo: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[dict[str, Any], set[str]]:
    """The names that the lines of a card define, and the shards that its part about one split downloads."""
    import datasets

    (code,) = re.findall(r"```python\n(.*?)```", served.hub.files(repo)["README.md"].decode(), re.DOTALL)
    head, *parts = code.split("\n\n# ")
    defined: dict[str, Any] = {}
    asked: list[set[str]] = []
    for number, part in enumerate([head, *(f"# {part}" for part in parts)]):
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / f"hub{number}"))
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", folder / f"datasets{number}")
        exec(part, defined)
        asked.append({path.name for path in (folder / f"hub{number}").rglob("*.parquet")})
    assert len(asked) == 4
    return defined, asked[1]


@pytest.mark.slow  # for the real cards
@pytest.mark.parametrize(
    ("published", "repos"),
    [
        (False, {"alice/small-TextReasoning-Data": "text", "alice/small-VisualReasoning-Data": "visual"}),
        (True, {"alice/small-Data": "text"}),
    ],
    indirect=["published"],
)
def test_the_lines_of_a_card_load_what_they_say(
    published: Served, repos: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    for repo, stage in repos.items():
        capsys.readouterr()
        defined, downloaded = run_lines(published, repo, tmp_path / stage, monkeypatch)
        rows, one, stream, pinned = (defined[name] for name in ("rows", "one_split", "stream", "pinned"))
        assert tuple(rows) == tuple(pinned) == _SPLITS
        assert set(rows["train"]["stage"]) == {stage}
        assert one[:] == rows["test"][:]
        assert downloaded == {"test-00000-of-00001.parquet"}
        assert [row["question_id"] for row in stream] == rows["test"]["question_id"]
        assert rows["test"][0]["problem"] in capsys.readouterr().out
        images = [image for row in rows["train"] for image in row["images"]]
        assert len(images) == (rows["train"].num_rows if stage == "visual" else 0)
        assert all(isinstance(image, Image.Image) and image.size == (32, 32) for image in images)


def test_a_stage_file_says_that_its_images_are_images(tmp_path: Path) -> None:
    """The viewer reads features from the `huggingface` key of a Parquet file, and decodes a row group at once."""
    run = hub_runs.build(tmp_path, rows=12, stages=("visual",))
    for shard in (run.stages / "visual").glob("*.parquet"):
        schema = pq.read_schema(shard)
        said = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        assert said["images"] == {"feature": {"_type": "Image"}, "_type": "List"}
        assert schema.equals(features().arrow_schema)
        file = pq.ParquetFile(shard)
        assert max(file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)) <= 100
