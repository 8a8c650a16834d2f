"""TRL's GRPOTrainer on published sets, in its own environment."""

import json

from benchmarks.engines import ENGINES, ask
from tests.support.engines import needs

pytestmark = needs("trl")


def test_trl_and_verl_score_a_reply_alike() -> None:
    row = {"reply": r"<think>So.</think> \boxed{a dog}", "ground_truth": "B", "options": ["a cat", "a dog"], "kind": ""}
    line = json.dumps(row) + "\n"
    assert ask(ENGINES["trl"], "score", stdin=line) == ask(ENGINES["verl"], "score", stdin=line) == [1.0]
