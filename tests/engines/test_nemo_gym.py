"""The environment in NeMo Gym, where it is installed: it needs a later Python than the other engines."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.engines import BY_HAND, ENGINES, ask
from capcurriculum import __version__
from capcurriculum.engines.source import Source, StageFiles
from cards.environment import write
from tests.support import training_data

ENGINE = BY_HAND["nemo_gym"]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not ENGINE.installed(), reason="NeMo Gym is not installed here; see docs/engines.md#nemo-gym"),
]


def test_its_server_and_verl_score_a_reply_alike() -> None:
    row = {"reply": r"<think>So.</think> \boxed{a dog}", "ground_truth": "B", "options": ["a cat", "a dog"], "kind": ""}
    line = json.dumps(row) + "\n"
    assert ask(ENGINE, "score", stdin=line) == ask(ENGINES["verl"], "score", stdin=line) == [1.0]


def test_its_own_classes_take_the_rows_and_the_configuration(tmp_path: Path) -> None:
    below = training_data.write_stage(tmp_path / "stages", "visual", train=3)
    files: Any = {"train": ("train-00000-of-00001.parquet",)}
    stage = StageFiles(name="visual", folder=str(below), files=files)
    write.write(tmp_path / "out", Source(name="demo", capcurriculum=__version__, stages=(stage,)))
    servers = ["ResourcesServerInstanceConfig", "ResponsesAPIAgentServerInstanceConfig"]
    assert ask(ENGINE, "read", str(tmp_path / "out")) == {"rows": 3, "servers": servers}
