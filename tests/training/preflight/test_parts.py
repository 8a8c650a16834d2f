"""The parts of the preflight: weights by their headers, estimates, the balance of a key, and what is remembered."""

import dataclasses
import json
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from capcurriculum.errors import TrainerError
from capcurriculum.recipe.training import KnobChanges, StageRun, TrainingRecipe
from datagen import micro
from tests.support import training_data
from tests.support.preflight_data import look, picture, seeing, settings, write
from training import knobs
from training.on_verl import config as overrides
from training.on_verl import sft
from training.preflight import show
from training.preflight.findings import Findings
from training.preflight.machine import disk, libraries, machine, memory, need, weights
from training.preflight.machine.model import ModelSize, model_size
from training.preflight.machine.need import LinkNeed
from training.preflight.rows.balance import balance
from training.preflight.rows.cache import RowCache
from training.preflight.rows.pool import slices
from training.preflight.rows.row import RowResult


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return Path(shutil.copytree(micro.checkpoint("start"), tmp_path / "checkpoint"))


def sharded(folder: Path) -> None:
    """Give the checkpoint an index, as large models have."""
    names = list(weights.tensors(folder)[0])
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    index = {"weight_map": dict.fromkeys(names, "model-00001-of-00001.safetensors")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def reconfigure(folder: Path, **text: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["text_config"] |= text
    (folder / "config.json").write_text(json.dumps(config))


def test_a_whole_checkpoint_has_no_faults(checkpoint: Path) -> None:
    assert weights.faults(checkpoint) == []
    sharded(checkpoint)
    assert weights.faults(checkpoint) == []
    size = model_size(checkpoint)
    assert size is not None
    assert (size.parameters, size.layers, size.hidden, size.head) == (2_087_232, 4, 128, 64)


def test_a_file_cut_short_is_told_from_its_header(checkpoint: Path) -> None:
    path = checkpoint / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    assert "has 4,184,456 bytes and its header promises 4,185,456; fetch it again" in weights.faults(checkpoint)[0]
    path.write_bytes(path.read_bytes()[:100])
    assert "only its first bytes are there" in weights.faults(checkpoint)[0]
    path.write_bytes(b"PK\x03\x04 a pickle")
    assert "no safetensors file" in weights.faults(checkpoint)[0]


def test_configuration_and_tokenizer_alone_are_no_checkpoint(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").unlink()
    assert "no *.safetensors files with weights" in weights.faults(checkpoint)[0]
    (checkpoint / "config.json").unlink()
    assert weights.faults(checkpoint)[-1] == "config.json is missing"


def test_a_missing_shard_and_a_moved_tensor_are_told_from_the_index(checkpoint: Path) -> None:
    sharded(checkpoint)
    index = json.loads((checkpoint / "model.safetensors.index.json").read_text())
    index["weight_map"]["lost.weight"] = "model-00001-of-00001.safetensors"
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "1 tensors are not where" in weights.faults(checkpoint)[0]
    index["weight_map"]["lost.weight"] = "model-00002-of-00002.safetensors"
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "are missing, first model-00002-of-00002.safetensors" in weights.faults(checkpoint)[0]
    (checkpoint / "model.safetensors.index.json").write_text("[]")
    assert "is damaged" in weights.faults(checkpoint)[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ({"num_hidden_layers": 5}, "has 4 text layers, and config.json describes 5"),
        ({"hidden_size": 256}, "shape [1280, 128], and config.json describes [1280, 256]"),
        ({"vocab_size": 1281}, "and config.json describes [1281, 128]"),
        ({"intermediate_size": 512}, "and config.json describes [128, 512]"),
    ],
)
def test_weights_of_another_model_contradict_the_configuration(
    checkpoint: Path, text: dict[str, int], said: str
) -> None:
    reconfigure(checkpoint, **text)
    (fault,) = weights.faults(checkpoint)
    assert said in fault


#: Qwen3-VL-8B by its published configuration, 8.77 billion parameters in all.
LARGE = ModelSize(8_770_000_000, 4096, 12288, 36, 151936, 8, 128, 262144)
SMALL = ModelSize(1_000_000, None, None, None, None, None, None, None, linear={"q_proj": 3000, "v_proj": 2000})


def link(checkpoints: Path = Path("/nowhere"), backbone: str = "qwen3_vl_8b", **changes: Any) -> LinkNeed:
    """The need of a link of perception, but for `changes`."""
    recipe, run = TrainingRecipe(backbone=backbone), StageRun(stage="perception")
    base = knobs.backbone(backbone)
    paths = overrides.Paths((Path("/d/train.parquet"),), (Path("/d/val.parquet"),), Path("/m"), checkpoints)
    keys = overrides.config(recipe, base, run, knobs.resolve(recipe, run), paths, 90)
    return dataclasses.replace(need.of_grpo("perception", 90, checkpoints, keys), **changes)


def test_a_stage_holds_one_whole_checkpoint_while_another_is_written_and_then_its_export(tmp_path: Path) -> None:
    asked = disk.need(SMALL, link(tmp_path, trained=4, computing=2, keep=3, save_every=25))
    assert asked.checkpoint == 16_000_000
    assert asked.most == 2 * 16_000_000 + 4_000_000  # of the third, only loadable weights
    assert (asked.left, asked.there) == (2_000_000, 0)
    (tmp_path / "saved").write_bytes(b"x" * 5000)
    asked = disk.need(SMALL, link(tmp_path, trained=2, computing=2, keep=1, save_every=25))
    assert (asked.checkpoint, asked.most, asked.there) == (8_000_000, 16_000_000, 5000)
    asked = disk.need(SMALL, link(tmp_path, trained=2, computing=2, save_every=25, steps=25))
    assert asked.most == asked.checkpoint + 2_000_000  # the export beside the only one
    asked = disk.need(SMALL, link(tmp_path, trained=2, computing=2, save_every=25, steps=25, stays=True))
    assert asked.left == asked.most


def test_a_chain_holds_the_exports_of_before_and_what_trains_now() -> None:
    one, two = disk.DiskNeed(16, 36, 2, 0), disk.DiskNeed(16, 32, 2, 0)
    assert disk.chain([one, two, two]) == (36, 6)
    assert disk.chain([two, two, one]) == (2 + 2 + 36, 6)


def test_a_disk_that_is_too_small_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    links = [link(tmp_path / "perception" / "trainer", "micro")]
    findings = Findings()
    machine.note_machine(links, micro.checkpoint("start"), 1, "cpu", None, findings)
    assert findings.all() == []
    monkeypatch.setattr(disk, "free", lambda folder: 1_000_000)
    numbers = machine.note_machine(links, micro.checkpoint("start"), 1, "cpu", None, findings)
    assert "will take up to 0.1 GB more at once (perception 0.1), and 0.0 GB are free" in findings.errors()[0].text
    assert numbers["disk_free"] == 0.001


def test_what_cannot_fit_on_a_gpu_is_refused_and_what_may_not_is_warned_of() -> None:
    full = link(trained=4, computing=2, reference=2, offloaded=False, engine=need.Engine(0.7, 1))
    eight = memory.need(LARGE, full, 8)
    assert eight.resting == pytest.approx(8.77 * (4 + 8) / 8)  # the reference waits in the host's memory
    assert eight.engine_least == pytest.approx(8.77 * 2 + 2 * 36 * 8 * 128 * 2 * 4096 / 1e9)
    assert memory.faults(eight, full, 141) == ([], [])
    certain, _ = memory.faults(eight, full, 24)
    assert "vLLM needs at least 18 GB" in certain[-1]
    certain, likely = memory.faults(memory.need(LARGE, full, 1), full, 80)
    assert "beside vLLM's 56 GB (gpu_memory 0.7) the trainer keeps 105 GB on each GPU of 80 GB" in certain[0]
    assert (
        "the largest pass over the model takes at least 140 GB of each GPU's 80 GB; lower tokens_per_gpu" in certain[1]
    )
    assert likely == []
    offloaded = memory.need(LARGE, dataclasses.replace(full, offloaded=True), 8)
    assert offloaded.resting == pytest.approx(8.77 * 4 / 8)
    assert offloaded.updating == eight.updating  # which brings the moments back
    assert eight.asking is not None
    assert offloaded.asking == pytest.approx(eight.asking - 8.77 * 8 / 8)
    nothing = memory.need(LARGE, dataclasses.replace(full, offloaded=True, offloaded_weights=True), 8)
    assert (nothing.resting, nothing.updating, nothing.asking) == (0, offloaded.updating, offloaded.asking)


def test_adapters_have_moments_and_gradients_of_their_own_numbers_alone(tmp_path: Path) -> None:
    adapters = need.Adapters(16, ("q_proj", "v_proj"))
    found = link(tmp_path, trained=4, computing=2, keep=1, save_every=25, adapters=adapters)
    numbers = 16 * 5000
    assert found.numbers(SMALL) == (1_000_000 + numbers, numbers)
    assert memory.need(SMALL, found, 2).resting == pytest.approx((4 * 1_080_000 + 8 * numbers) / 2 / 1e9)
    assert disk.need(SMALL, found).checkpoint == 4 * (2 * 1_080_000 + 2 * numbers)
    assert disk.need(SMALL, found).left == 2 * 1_000_000  # merged
    size = model_size(micro.checkpoint("start"))
    assert size is not None
    assert size.linear["gate_proj"] == size.linear["down_proj"] == 4 * (128 + 384)


def test_with_adapters_no_reference_model_is_loaded(tmp_path: Path) -> None:
    changed = TrainingRecipe(backbone="qwen3_vl_8b", knobs=KnobChanges(lora_rank=8, offload_parameters=True))
    base, run = knobs.backbone("qwen3_vl_8b"), StageRun(stage="perception")
    paths = overrides.Paths((Path("/d/train.parquet"),), (Path("/d/val.parquet"),), Path("/m"), tmp_path)
    keys = overrides.config(changed, base, run, knobs.resolve(changed, run), paths, 90)
    found = need.of_grpo("perception", 90, tmp_path, keys)
    assert (found.reference, found.offloaded_weights, link().reference) == (0, True, 2)
    assert memory.host(LARGE, found, 8, 1) == pytest.approx(8.77 * (4 + 4))


def test_a_sequence_that_is_split_is_a_part_on_each_gpu(tmp_path: Path) -> None:
    changed = TrainingRecipe(backbone="qwen3_vl_8b", knobs=KnobChanges(sequence_parallel=4, tokens_per_gpu=0))
    base, run = knobs.backbone("qwen3_vl_8b"), StageRun(stage="perception")
    paths = overrides.Paths((Path("/d/train.parquet"),), (Path("/d/val.parquet"),), Path("/m"), tmp_path)
    keys = overrides.config(changed, base, run, knobs.resolve(changed, run), paths, 90)
    found = need.of_grpo("perception", 90, tmp_path, keys)
    assert (found.split, found.passes.update, found.passes.log_prob) == (4, 16 * 1024, 32 * 1024)


def test_layers_of_linear_attention_keep_no_keys_and_no_values(tmp_path: Path) -> None:
    kinds = ["linear_attention"] * 3 + ["full_attention"]
    text = {"num_hidden_layers": 4, "layer_types": kinds, "num_key_value_heads": 2, "head_dim": 8}
    (tmp_path / "config.json").write_text(json.dumps({"text_config": text}))
    (tmp_path / "model.safetensors").write_bytes(training_data.weights("weights", ("mtp.norm.weight",)))
    size = model_size(tmp_path)
    assert size is not None
    assert (size.layers, size.attending) == (4, 1)
    full = link()
    told = memory.need(dataclasses.replace(size, parameters=0), full, 1).engine_least
    assert told == pytest.approx(2 * 1 * 2 * 8 * 2 * full.longest / 1e9)


def test_the_papers_recipes_fit_on_gpus_of_80_gb() -> None:
    for name in ("qwen3_vl_8b", "qwen2_5_vl_7b"):
        asked = link(backbone=name)
        assert memory.faults(memory.need(LARGE, asked, 8), asked, 80) == ([], [])


def test_logits_of_a_whole_pass_are_counted_and_those_in_chunks_hardly() -> None:
    # The release's micro-batches in verl without fused kernels: 64 sequences of 4,096 tokens.
    fixed = link(passes=need.Passes(16 * 4096, 64 * 4096, filled=False, fused=False))
    found = memory.need(LARGE, fixed, 8)
    assert found.asking is not None
    assert found.asking > 64 * 4096 * 151936 * 2 * 3 / 1e9
    certain, likely = memory.faults(found, fixed, 80)
    assert certain == []  # replies are seldom that long
    assert "an update may need up to" in likely[0]
    assert "computing log-probabilities may need up to 2" in likely[1]
    assert "lower update_micro_batch and log_prob_micro_batch" in likely[1]
    certain, _ = memory.faults(found, fixed, 48)
    assert "takes at least 53 GB of each GPU's 48 GB" in certain[-1]
    budget = link(passes=need.Passes(24576, 24576, filled=True, fused=False))
    assert "at least" in memory.faults(memory.need(LARGE, budget, 8), budget, 20)[0][-1]
    fused = memory.need(LARGE, link(passes=need.Passes(24576, 24576, filled=True, fused=True)), 8)
    assert fused.updating is not None
    assert fused.updating < 40


def test_a_stage_taught_by_captions_has_no_engine_and_no_reference(tmp_path: Path) -> None:
    recipe, run = TrainingRecipe(backbone="qwen3_vl_8b"), StageRun(stage="perception", method="sft")
    paths = overrides.Paths((Path("/d/train.parquet"),), (Path("/d/val.parquet"),), Path("/m"), tmp_path)
    keys = sft.config(recipe, knobs.backbone("qwen3_vl_8b"), run, knobs.resolve(recipe, run), paths, 90)
    found = need.of_captions("perception", 90, tmp_path, keys)
    assert (found.engine, found.reference, found.longest) == (None, 0, 4096)
    assert memory.need(LARGE, found, 8).engine_least is None
    assert disk.need(SMALL, found).checkpoint == 16_000_000


def test_a_gpu_of_unknown_size_is_said_to_be_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "gpu_memory", lambda: None)
    findings = Findings()
    machine.note_machine([link(tmp_path, "micro")], micro.checkpoint("start"), 1, "cuda", None, findings)
    assert "unknown here" in findings.all()[0].text
    assert findings.errors() == []
    findings = Findings()
    machine.note_machine([link(tmp_path, "micro")], micro.checkpoint("start"), 1, "cuda", 0.001, findings)
    assert {error.check for error in findings.errors()} == {"gpu_memory"}


def test_prompt_and_reply_must_have_positions(tmp_path: Path, checkpoint: Path) -> None:
    reconfigure(checkpoint, max_position_embeddings=600)
    findings = Findings()
    machine.note_machine([link(tmp_path, "micro")], checkpoint, 1, "cpu", None, findings)
    assert "prompt and reply may have 608 tokens, and the model has 600 positions" in findings.errors()[0].text


def test_the_libraries_of_another_environment_are_asked_for(tmp_path: Path) -> None:
    other = tmp_path / "python3"
    other.symlink_to(sys.executable)
    own, theirs = libraries.of(sys.executable), libraries.of(str(other))
    assert own is not None
    assert theirs is not None
    assert theirs.version == own.version
    assert dict(own.versions)["transformers"]
    lacking = dataclasses.replace(own, versions=(("transformers", ""), ("torch", "2")))
    assert (lacking.missing, lacking.usable()) == (("transformers",), False)
    assert not dataclasses.replace(own, version=(3, 99)).usable()
    assert libraries.of("/nowhere/python") is None


@pytest.mark.usefixtures("light_preflight")
def test_an_environment_without_the_trainer_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = write(tmp_path, [seeing(0)])
    monkeypatch.setattr(libraries, "of", lambda python: None)
    for may_write, severity in ((False, "warning"), (True, "error")):
        inspection, got = look(tmp_path, files, write=may_write)
        (finding,) = inspection.findings.all()
        assert (finding.check, finding.severity) == ("libraries", severity)
        assert got == files


def test_pixel_limits_and_patches_that_are_taken_differently_are_refused(checkpoint: Path) -> None:
    findings = Findings()
    machine.note_pictures(checkpoint, 16, {}, findings)
    machine.note_pictures(
        checkpoint, 16, {f"data.mm_processor_kwargs.{one}_pixels": 9 for one in ("min", "max")}, findings
    )
    assert findings.all() == []
    machine.note_pictures(checkpoint, 14, {"data.mm_processor_kwargs.max_pixels": 9}, findings)
    assert [error.check for error in findings.errors()] == ["pixel_limits", "patch"]


def test_an_even_key_is_probable_and_a_lopsided_one_is_not() -> None:
    even = balance(Counter({(place, 4): 25 for place in range(4)}))
    assert even is not None
    assert even.p == 1.0
    odd = balance(Counter({(0, 4): 70, (1, 4): 10, (2, 4): 10, (3, 4): 10}))
    assert odd is not None
    assert odd.chi_square == pytest.approx(108.0)
    assert odd.p < 1e-20
    both = balance(Counter({(0, 2): 30, (1, 2): 20, (0, 4): 25, (1, 4): 25, (2, 4): 25, (3, 4): 25}))
    assert both is not None
    assert (both.chi_square, both.counts) == (pytest.approx(2.0), {"A": 55, "B": 45, "C": 25, "D": 25})
    assert balance(Counter()) is None


def lopsided(number: int) -> dict[str, Any]:
    row = seeing(number)
    return row | {"reward_model": {"style": "rule", "ground_truth": "A"}}


@pytest.mark.usefixtures("light_preflight")
def test_a_lopsided_key_is_warned_of_and_refused_under_a_limit(tmp_path: Path) -> None:
    files = write(tmp_path, [lopsided(number) for number in range(16)])
    inspection, _ = look(tmp_path, files)
    assert [one.check for one in inspection.findings.all()] == ["balance"]
    assert inspection.findings.errors() == []
    inspection, _ = look(tmp_path, files, balance_limit=0.01)
    assert "right answers favour some letters (A 16; chi-square 48.0" in inspection.findings.errors()[0].text


@pytest.mark.usefixtures("light_preflight")
def test_a_second_look_checks_no_row_again(tmp_path: Path) -> None:
    files = write(tmp_path, [seeing(number, picture(64, 64)) for number in range(6)])
    first, _ = look(tmp_path, files)
    second, _ = look(tmp_path, files)
    assert [one.stages["perception"].checked for one in (first, second)] == [8, 0]
    assert second.stages["perception"].tokens == first.stages["perception"].tokens
    other, _ = look(tmp_path, files, keys={"data.max_pixels": 32 * 32})
    assert other.stages["perception"].checked == 8
    assert other.stages["perception"].tokens["max"] < first.stages["perception"].tokens["max"]


@pytest.mark.usefixtures("light_preflight")
def test_only_rows_whose_content_changed_are_checked_again(tmp_path: Path) -> None:
    rows = [seeing(number, picture(64, 64)) for number in range(6)]
    look(tmp_path, write(tmp_path, rows))
    rows[2] = seeing(2, picture(64, 96))
    rows[3]["prompt"][1]["content"] += "Really?"
    rows[4]["reward_model"]["ground_truth"] = "E"
    moved, _ = look(tmp_path, write(tmp_path, rows[::-1]))
    assert moved.stages["perception"].checked == 3
    assert [error.check for error in moved.findings.errors()] == ["gold_letter"]
    again, _ = look(tmp_path, write(tmp_path, rows))
    assert again.stages["perception"].checked == 0
    assert [error.check for error in again.findings.errors()] == ["gold_letter"]


def test_a_damaged_shard_is_forgotten_and_a_cache_that_cannot_be_written_is_said(
    tmp_path: Path, light_preflight: Path
) -> None:
    files = write(tmp_path, [seeing(number) for number in range(6)])
    look(tmp_path, files)
    (folder,) = (light_preflight / "preflight").iterdir()
    for shard in folder.glob("*.parquet"):
        shard.write_bytes(shard.read_bytes()[:50])
    assert RowCache(folder.name, light_preflight).load() == {}
    assert list(folder.glob("*.parquet")) == []
    shutil.rmtree(folder)
    folder.write_text("a file in the way")
    inspection, _ = look(tmp_path, write(tmp_path, [seeing(number) for number in range(3)], [seeing(8), seeing(9)]))
    assert "results cannot be remembered" in inspection.findings.all()[0].text
    assert inspection.findings.errors() == []


def test_many_shards_become_one(tmp_path: Path) -> None:
    cache = RowCache("digest", tmp_path)
    keys = [bytes([number]) * 16 for number in range(60)]
    for number, key in enumerate(keys):
        cache.add([(key, RowResult((("image", "x"),), number, 1))])
    cache.compact()
    assert len(list(cache.folder.glob("rows-*.parquet"))) == 1
    assert cache.load() == {key: RowResult((("image", "x"),), number, 1) for number, key in enumerate(keys)}


def test_another_processor_has_another_digest(checkpoint: Path) -> None:
    first = settings(checkpoint, {}).digest
    assert settings(micro.checkpoint("start"), {}).digest == first  # a copy elsewhere is the same processor
    (checkpoint / "processor_config.json").write_text("{}")
    assert settings(checkpoint, {}).digest != first
    assert settings(checkpoint, {"data.max_pixels": 1}).digest != settings(checkpoint, {}).digest


def test_slices_cover_every_row_once(tmp_path: Path) -> None:
    files = write(tmp_path, [seeing(number) for number in range(10)])
    parts = slices(files.train, [True])
    rows = [row for part in parts for row in range(part.first + part.start, part.first + part.stop)]
    assert rows == list(range(10))
    assert {part.group for part in parts} == {0, 1, 2}


@pytest.mark.usefixtures("light_preflight")
def test_the_report_is_shown_saved_and_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = write(tmp_path, [seeing(0) | {"reward_model": {"style": "rule", "ground_truth": "[bold]"}}, seeing(1)])
    inspection, _ = look(tmp_path, files, limit=10)
    show.show(inspection, Console(width=200))
    said = capsys.readouterr().out
    assert "error  perception: the gold answer is not the letter of an option" in said
    assert "'[bold]' of 4 options" in said
    told = json.loads(show.save(inspection, tmp_path).read_text())
    assert {one["check"] for one in told["findings"]} == {"gold_letter", "overlong"}
    assert told["sets"]["perception"]["limit"] == 10
    with pytest.raises(TrainerError, match=r"may not start\. perception: .*There are 1 more kinds of errors above"):
        show.refuse(inspection)
