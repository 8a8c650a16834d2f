"""Stages that are taught by captions: the rows made for them, what is refused, and what starts the trainer."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from capcurriculum.errors import RecipeError, TrainerError
from capcurriculum.recipe import Recipe
from capcurriculum.rows import Question
from capcurriculum.run import Run
from tests.support import training_data
from training import captions, chain
from training.on_verl import sft
from training.stages import Links

SMALL = {"batch_size": 4, "update_micro_batch": 4}


def recipe(root: Path, **training: Any) -> Recipe:
    return training_data.recipe(
        root,
        {
            "stages": [{"stage": "perception", "method": "sft", "knobs": SMALL}, {"stage": "text"}],
            **training,
        },
    )


@pytest.fixture
def built(tmp_path: Path) -> Path:
    for stage in ("perception", "text"):
        training_data.write_stage(tmp_path / "runs/demo/stages", stage)
    training_data.write_captions(tmp_path / "runs/demo", "perception")
    return tmp_path


def links(made: Recipe) -> Links:
    assert made.training is not None
    return Links(made, made.training)


def test_each_image_is_taught_once_with_its_caption(built: Path) -> None:
    found = links(recipe(built))
    assert (found.stages[0].rows, found.stages[0].rollouts, found.stages[0].total_steps) == (8, 0, 2)
    found.prepare(0)
    (train,) = found.links[0].files.train
    rows = pq.read_table(train).to_pylist()
    assert [row["question_id"] for row in rows] == [f"perception-train-{number}" for number in range(0, 16, 2)]
    user, assistant = rows[3]["messages"]
    assert user == {"role": "user", "content": f"<image>{captions.PROMPT}"}
    assert assistant == {"role": "assistant", "content": "A picture that is all of one colour, the 3th of its kind."}
    (image,) = rows[3]["images"]
    number = 6
    shown = training_data.row("perception", number, "train")["images"][0]["bytes"]  # type: ignore[index]
    assert image == {"bytes": shown, "min_pixels": 1024, "max_pixels": 262144}
    assert pq.read_metadata(found.links[0].files.val[0]).num_rows == 2


def test_files_are_written_again_only_for_other_rows(built: Path) -> None:
    found = links(recipe(built))
    found.prepare(0)
    (train,) = found.links[0].files.train
    before = train.stat().st_mtime_ns
    links(recipe(built)).prepare(0)
    assert train.stat().st_mtime_ns == before
    stage = {"stage": "perception", "method": "sft", "knobs": {**SMALL, "max_pixels": 65536}}
    smaller = links(recipe(built, stages=[stage]))
    assert smaller.stages[0].dataset_digest != found.stages[0].dataset_digest
    smaller.prepare(0)
    assert pq.read_table(train).to_pylist()[0]["images"][0]["max_pixels"] == 65536


def captioned(root: Path, caption: str) -> Recipe:
    """A recipe over a run all of whose perception rows have this caption."""
    training_data.write_stage(root / "runs/demo/stages", "perception", train=4, val=1)
    run = Run(root / "runs/demo")
    run.questions.append(
        Question(
            question_id=f"perception-{split}-{n}", stage="perception", problem="", answer="A", options=(), skill="",
            image_id=f"{split}{n}", image_path="", caption=caption, caption_id="", source="", license="",
        )
        for split, count in (("train", 4), ("val", 1))
        for n in range(count)
    )  # fmt: skip
    return recipe(root, stages=[{"stage": "perception", "method": "sft", "knobs": SMALL}])


def test_a_caption_cannot_smuggle_in_an_image(tmp_path: Path) -> None:
    found = links(captioned(tmp_path, "A <image> of <video>red."))
    found.prepare(0)
    rows = pq.read_table(found.links[0].files.train[0]).to_pylist()
    assert {row["messages"][1]["content"] for row in rows} == {"A  of red."}


@pytest.mark.usefixtures("light_preflight")
def test_a_caption_cannot_smuggle_in_a_turn(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match=r"the caption spells out a control token .*<\|im_end\|>"):
        chain.train(captioned(tmp_path, "Blue.<|im_end|> Yes."), dry_run=True)


def test_what_cannot_be_taught_by_captions_is_said(built: Path) -> None:
    with pytest.raises(TrainerError, match="Stage text cannot be taught by method: sft, since 16 of its 16"):
        links(recipe(built, stages=[{"stage": "text", "method": "sft", "knobs": SMALL}]))
    stage = {"stage": "perception", "method": "sft", "knobs": {"batch_size": 8, "update_micro_batch": 4}}
    with pytest.raises(RecipeError, match=r"taught by captions, on one node; train it with training.nodes: 1"):
        links(recipe(built, stages=[stage], nodes=2))
    stage = {"stage": "perception", "method": "sft", "knobs": {**SMALL, "update_micro_batch": 3}}
    with pytest.raises(RecipeError, match="batch_size is 4 and update_micro_batch x GPUs is 3"):
        links(recipe(built, stages=[stage]))


@pytest.mark.usefixtures("light_preflight")
def test_captions_that_would_stop_the_trainer_are_refused_before_it_starts(
    built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chain.train(recipe(built), dry_run=True)
    assert "more than" not in capsys.readouterr().out
    short = {**SMALL, "max_prompt_tokens": 40, "max_response_tokens": 4}
    stage = {"stage": "perception", "method": "sft", "knobs": short}
    with pytest.raises(TrainerError, match="may not start"):
        chain.train(recipe(built, stages=[stage]), dry_run=True)
    said = " ".join(capsys.readouterr().out.split())
    assert "prompt and caption together have more than 44 tokens, at which the trainer stops" in said


@pytest.mark.slow
def test_the_trainer_is_verls_supervised_one_with_a_process_for_each_gpu(
    built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chain.train(recipe(built), dry_run=True)
    commands = [line for line in capsys.readouterr().out.splitlines() if "verl.trainer" in line]
    alone = "-m torch.distributed.run --standalone --local-addr=127.0.0.1"
    assert f"{alone} --nproc-per-node=1 -m verl.trainer.sft_trainer" in commands[0]
    assert "verl.trainer.main_ppo" in commands[1]
    assert not list(built.rglob("captions"))
    assert sft.command("py", 8, ["a=1"])[3:] == [
        "--standalone",
        "--local-addr=127.0.0.1",
        "--nproc-per-node=8",
        "-m",
        "verl.trainer.sft_trainer",
        "a=1",
    ]


def test_frozen_weights_reach_the_supervised_trainer_by_its_environment(built: Path) -> None:
    frozen = {**SMALL, "freeze": "vision"}
    found = links(recipe(built, stages=[{"stage": "perception", "method": "sft", "knobs": frozen}, "text"]))
    assert found.variables(0)["CAPCURRICULUM_FREEZE"] == "vision"
    assert "CAPCURRICULUM_FREEZE" not in found.variables(1)
    assert 'model.external_lib="training.on_verl.freeze_hook"' in found.command(0)
    thawed = links(recipe(built))
    assert thawed.stages[0].config_digest != found.stages[0].config_digest
    assert 'model.external_lib="training.on_verl.patches.mends_hook"' in thawed.command(0)
