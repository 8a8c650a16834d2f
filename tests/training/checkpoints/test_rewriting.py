"""Weights that are exported as bfloat16: what was learned stays on the mean, and frozen weights stay as they are."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from training.checkpoints import export, rewriting


def test_small_updates_survive_on_the_mean_where_rounding_to_nearest_loses_them_all() -> None:
    random = torch.Generator().manual_seed(0)
    parent = (0.02 * torch.randn(200_000, generator=random)).to(torch.bfloat16)
    parent = parent[parent.abs() > 0.008]  # whose neighbours in bfloat16 are 0.00006 away or more
    learned = parent.float() + 1e-5
    assert torch.equal(learned.to(torch.bfloat16), parent)
    moved = rewriting.rounded(learned, random).float() - parent.float()
    assert float(moved.mean()) == pytest.approx(1e-5, rel=0.05)
    assert 0.02 < float((moved != 0).float().mean()) < 0.3


def test_values_that_bfloat16_has_and_those_that_are_not_finite_stay() -> None:
    random = torch.Generator().manual_seed(0)
    values = torch.tensor([0.0, -0.0, 1.0, -0.0078125, 3.0e38, float("inf"), -float("inf")])
    exact = values.to(torch.bfloat16).float()
    assert torch.equal(rewriting.rounded(exact, random).float(), exact)
    assert torch.isnan(rewriting.rounded(torch.tensor([float("nan")]), random)).all()
    largest = torch.tensor([torch.finfo(torch.float32).max])  # up would be infinite
    assert rewriting.rounded(largest, random).shape == (1,)
    negative = rewriting.rounded(torch.full((1000,), -1.001), random).float()
    assert set(negative.tolist()) <= {-1.0, -1.0078125}


def test_files_keep_their_names_and_the_same_weights_give_the_same_bytes(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    torch.manual_seed(0)
    weights = {"a": torch.randn(64, 8), "b": torch.arange(4), "c": torch.randn(3).to(torch.bfloat16)}
    save_file(weights, source / "model-00001-of-00001.safetensors")
    index = {
        "metadata": {"total_size": 1, "kept": 2},
        "weight_map": dict.fromkeys(weights, "model-00001-of-00001.safetensors"),
    }
    (source / rewriting.INDEX).write_text(json.dumps(index))
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        total = rewriting.rewrite(source, tmp_path / name, dtype="bfloat16")
        made.append((tmp_path / name / "model-00001-of-00001.safetensors").read_bytes())
    assert made[0] == made[1]
    with safe_open(tmp_path / "one" / "model-00001-of-00001.safetensors", framework="pt") as file:
        found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
    assert [found[name].dtype for name in ("a", "b", "c")] == [torch.bfloat16, torch.int64, torch.bfloat16]
    assert torch.equal(found["c"], weights["c"])
    assert (found["a"].float() - weights["a"]).abs().max() < 0.04
    said = json.loads((tmp_path / "one" / rewriting.INDEX).read_text())
    assert said["metadata"] == {"total_size": total, "kept": 2}
    assert total == 64 * 8 * 2 + 4 * 8 + 3 * 2


def test_only_the_last_checkpoint_keeps_what_can_be_resumed_from(tmp_path: Path) -> None:
    for step in (2, 4, 6):
        actor = tmp_path / f"global_step_{step}" / "actor"
        (actor / "huggingface").mkdir(parents=True)
        for name in ("model_world_size_1_rank_0.pt", "optim_world_size_1_rank_0.pt", "huggingface/model.safetensors"):
            (actor / name).write_text("x")
    (tmp_path / "latest_checkpointed_iteration.txt").write_text("4")  # the sixth is being written
    export.prune(tmp_path)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.pt")}
    assert {path.split("/")[0] for path in left} == {"global_step_4", "global_step_6"}
    assert len(list(tmp_path.rglob("*.safetensors"))) == 3
