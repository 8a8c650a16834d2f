"""verl's own loaders call our reward: one reply at a time under each manager, and whole batches."""

import json
from pathlib import Path
from typing import Any

import pytest

from capcurriculum.recipe.training import KnobChanges, RewardSection, SoftOverlong, StageRun, TrainingRecipe
from datagen import micro
from tests.support.installed import needs
from tests.support.trainer_scripts import ran
from training import knobs
from training.on_verl import config, overrides

pytestmark = pytest.mark.slow
needs("verl", extra="train")

#: As verl's reward loop does: compose, load the manager, hand it one rollout; then the manager that takes batches.
SCRIPT = """
import asyncio, json, os, sys, numpy, torch, verl
from hydra import compose, initialize_config_dir
from verl import DataProto
from verl.experimental.agent_loop.agent_loop import AgentLoopMetrics, AgentLoopOutput
from verl.trainer.ppo.reward import get_custom_reward_fn, load_reward_manager
from verl.utils import hf_tokenizer
from verl.workers.reward_manager.batch import BatchRewardManager
words, model, replies = json.loads(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
with initialize_config_dir(os.path.join(os.path.dirname(verl.__file__), "trainer", "config"), version_base=None):
    config = compose("ppo_trainer", overrides=words)
tokenizer = hf_tokenizer(model)
def data(texts):
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    width, rows = max(map(len, ids)), len(ids)
    pad = lambda row, fill: row + [fill] * (width - len(row))
    responses = torch.tensor([pad(row, tokenizer.pad_token_id) for row in ids])
    mask = torch.tensor([[1, 1] + pad([1] * len(row), 0) for row in ids])
    column = lambda values: numpy.array([*values, None], dtype=object)[:-1]
    extra = {"data_source": column(["capcurriculum/p"] * rows),
             "reward_model": column([{"style": "rule", "ground_truth": "B"}] * rows),
             "extra_info": column([{"options": ["a cat", "a dog", "two", "none"]} for _ in ids])}
    tensors = {"prompts": torch.ones(rows, 2, dtype=torch.long), "responses": responses, "attention_mask": mask}
    return DataProto.from_dict(tensors=tensors, non_tensors=extra), [len(row) for row in ids]
async def main():
    manager = load_reward_manager(config, tokenizer)
    singles = []
    for text in replies:
        one, _ = data([text])
        result = await manager.run_single(one)
        output = AgentLoopOutput(prompt_ids=[1], response_ids=[1], response_mask=[1],
                                 metrics=AgentLoopMetrics(), reward_score=result["reward_score"])
        singles.append({"reward": float(output.reward_score), "info": result["reward_extra_info"]})
    return type(manager).__name__, singles
name, singles = asyncio.run(main())
config.reward.custom_reward_function.name = "compute_scores"
batch, lengths = data(replies)
tensor = BatchRewardManager(tokenizer, 0, get_custom_reward_fn(config))(batch, return_dict=True)["reward_tensor"]
print(json.dumps({"manager": name, "singles": singles, "batch": tensor.sum(-1).tolist(), "lengths": lengths}))
"""

REPLIES = [
    r"<think>It is a dog.</think> \boxed{B}",
    r"\boxed{A}",
    "no answer",
    "<think>" + "a dog " * 20 + r"</think> \boxed{B}",
]
PATHS = config.Paths((Path("/d/train.parquet"),), (Path("/d/val.parquet"),), Path("/m"), Path("/c"))


def through_verl(reward: RewardSection) -> dict[str, Any]:
    recipe = TrainingRecipe(reward=reward, knobs=KnobChanges(max_response_tokens=96))
    run = StageRun(stage="perception")
    keys = config.config(recipe, knobs.backbone("micro"), run, knobs.resolve(recipe, run), PATHS, 4)
    said = ran(SCRIPT, json.dumps(overrides.arguments(keys)), micro.checkpoint("start"), json.dumps(REPLIES))
    result: dict[str, Any] = json.loads(said.strip().splitlines()[-1])
    return result


@pytest.mark.timeout(400)
def test_the_default_manager_pays_accuracy_and_format() -> None:
    got = through_verl(RewardSection())
    assert got["manager"] == "NaiveRewardManager"
    assert [single["reward"] for single in got["singles"]] == pytest.approx([1.0, 0.0, 0.0, 1.0])
    assert [single["info"]["outcome"] for single in got["singles"]] == ["right", "wrong", "unparsed", "right"]
    assert set(got["singles"][0]["info"]) == {"score", "accuracy", "format", "outcome", "answer", "question_id"}
    assert got["batch"] == pytest.approx([1.0, 0.0, 0.0, 1.0])


@pytest.mark.timeout(400)
def test_long_replies_and_unparsed_ones_lose_what_the_recipe_says() -> None:
    got = through_verl(RewardSection(unparsed_penalty=0.25, soft_overlong=SoftOverlong(buffer_tokens=64, penalty=0.5)))
    assert got["manager"] == "DAPORewardManager"
    length = got["lengths"][3]
    assert 32 < length <= 96  # the last 64 of 96 tokens are punished, linearly up to 0.5
    assert [single["reward"] for single in got["singles"]] == pytest.approx(
        [1.0, 0.0, -0.25, 1.0 - 0.5 * (length - 32) / 64], abs=1e-6
    )
    assert got["batch"] == pytest.approx([1.0, 0.0, -0.25, 1.0])  # that manager knows no lengths
