"""Our lengths are verl's, row by row: of its data set, its rollouts and its own slow filter, with real processors."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capcurriculum.recipe.training import PreflightSection, TrainingRecipe
from datagen import micro
from tests.support.installed import needs
from tests.support.light_preflight import LightLengths
from tests.support.preflight_data import QUIET, picture, rows_of, seeing, settings, write
from tests.support.trainer_scripts import ran
from training import captions, stage_files
from training.knobs import Knobs
from training.preflight.findings import Findings
from training.preflight.inspection import Inspection
from training.preflight.rows import schema
from training.preflight.rows.captioned import CaptionData
from training.preflight.rows.measure import Measuring, measure, tokens_of
from training.preflight.rows.pool import Pools, slices
from training.preflight.rows.row import image_size
from training.preflight.rows.slices import rows as read

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
needs("verl", extra="train")

#: What verl's data set and agent loop do with a row until there are token ids; then how many rows its filter keeps.
SCRIPT = """
import json, sys
from omegaconf import OmegaConf
from training.on_verl.dataset import LimitedImages
from verl.utils import hf_processor, hf_tokenizer
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.utils.tokenizer.continuous_token_wiring import create_continuous_token_builder
def look(model, file, settings):
    tokenizer, processor = hf_tokenizer(model), hf_processor(model)
    patch = processor.image_processor.patch_size
    config = {"filter_overlong_prompts": False, "image_key": "images", "truncation": "error", "image_patch_size": patch}
    config = OmegaConf.create(config | settings)
    kind = LimitedImages if "max_pixels" in settings else RLHFDataset
    rows = kind(file, tokenizer, config, processor)
    options = dict(settings.get("mm_processor_kwargs", {}))
    builder = create_continuous_token_builder(
        tokenizer, hf_model_type="qwen3_vl", processor=processor, mm_processor_kwargs=options
    )
    lengths = []
    for number in range(len(rows)):
        messages = rows[number]["raw_prompt"]
        images, _, _ = kind._process_multi_modal_info(messages, image_patch_size=patch, config=config)
        lengths.append(len(builder.build_initial_tokens(messages, images=images)))
    middle = sorted(lengths)[len(lengths) // 2]
    config.update({"filter_overlong_prompts": True, "max_prompt_length": middle, "filter_overlong_prompts_workers": 1})
    return {"lengths": lengths, "middle": middle, "kept": len(kind(file, tokenizer, config, processor))}
print(json.dumps([look(*job) for job in json.loads(sys.argv[1])]))
"""

PROCESSORS: dict[str, dict[str, Any]] = {
    "micro": {},
    "like Qwen3-VL-8B": {"size": {"shortest_edge": 65536, "longest_edge": 16777216}},
    "like Qwen2.5-VL-7B": {"size": {"shortest_edge": 3136, "longest_edge": 12845056}, "patch_size": 14},
}


def model(folder: Path, kind: str) -> Path:
    """The micro model with another image processor."""
    copy = Path(shutil.copytree(micro.checkpoint("start"), folder / "model"))
    config = json.loads((copy / "processor_config.json").read_text())
    config["image_processor"] |= PROCESSORS[kind]
    if "2.5" in kind:
        config["processor_class"] = "Qwen2_5_VLProcessor"
        config["video_processor"]["video_processor_type"] = "Qwen2VLVideoProcessor"
    (copy / "processor_config.json").write_text(json.dumps(config))
    return copy


def rows(folder: Path, *, marked: bool) -> stage_files.StageFiles:
    """Pictures of every kind and size, none, and two; texts in several scripts."""
    sizes = [(64, 64), (1000, 667), (667, 1000), (30, 45), (1601, 1203), (2000, 30), (96, 96)]
    found = [seeing(number, picture(*size)) for number, size in enumerate(sizes)]
    found.append(seeing(7, picture(300, 500, orientation=6)))
    found.append(seeing(8, picture(400, 300, "PNG", mode="RGBA"), picture(200, 100, "WEBP")))
    found.append(seeing(9, picture(128, 320, "PNG", mode="L")))
    found.append(seeing(10, picture(111, 222, "GIF", mode="P")))
    texts = ("Ein Käfer, 一只甲虫, жук 🪲?", "What is 1 < 2 <img> & so on?", "\n\n  \tx²+½ \\frac{1}{2}")
    for number, words in enumerate(texts, 11):
        row = seeing(number)
        row["images"], row["prompt"][1]["content"] = [], words
        found.append(row)
    return write(folder, found, marked=marked)


Job = tuple[Path, stage_files.StageFiles, dict[str, Any]]


def of_verl(jobs: list[Job]) -> list[dict[str, Any]]:
    """What verl makes of (model, set, settings of its data set)."""
    told = [(str(model), str(files.train[0]), settings) for model, files, settings in jobs]
    found: list[dict[str, Any]] = json.loads(ran(SCRIPT, json.dumps(told)).strip().splitlines()[-1])
    return found


def of_ours(folder: Path, files: stage_files.StageFiles, keys: dict[str, Any], cache: Path) -> list[int]:
    findings, parts = Findings(), slices(files.train, [schema.upright(path) for path in files.train])
    with Pools(cache, 1) as pools:
        how = Measuring("perception", parts, 10_000, False, pools, QUIET, findings)
        _, seen = measure(how, settings(folder, keys))
    assert findings.all() == []  # the arithmetic agreed with the pixels
    return [int(one) for one in tokens_of(seen)]


@pytest.mark.parametrize("kind", PROCESSORS)
def test_every_row_is_as_long_as_verl_makes_it(tmp_path: Path, kind: str) -> None:
    folder, files = model(tmp_path, kind), rows(tmp_path, marked=kind != "micro")
    both = [{}, {"min_pixels": 10_000, "max_pixels": 300_000}]
    for limits, verl in zip(both, of_verl([(folder, files, one) for one in both]), strict=True):
        keys = {f"data.{name}": value for name, value in limits.items()}
        ours = of_ours(folder, files, keys, tmp_path / "cache")
        assert ours == verl["lengths"]
        assert len(set(ours)) > 5
        assert verl["kept"] == sum(length <= verl["middle"] for length in ours)


#: What verl's supervised data set makes of a file: the length of every row.
TAUGHT = """
import json, sys
from omegaconf import OmegaConf
from verl.utils import hf_processor, hf_tokenizer
from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset
def look(model, file):
    processor = hf_processor(model)
    config = {"pad_mode": "no_padding", "max_length": 100000, "truncation": "error"}
    config["image_patch_size"] = processor.image_processor.patch_size
    rows = MultiTurnSFTDataset(file, hf_tokenizer(model), OmegaConf.create(config), processor)
    return [len(rows[number]["input_ids"]) for number in range(len(rows))]
print(json.dumps([look(model, sys.argv[1]) for model in sys.argv[2:]]))
"""


def test_every_caption_is_as_long_as_verl_makes_it(tmp_path: Path) -> None:
    folders, files = [model(tmp_path / kind, kind) for kind in PROCESSORS], rows(tmp_path, marked=False)
    limits = SimpleNamespace(min_pixels=10_000, max_pixels=300_000)
    pictured = [row for row in rows_of(files) if row["images"]]
    told = {row["question_id"]: f"Ein Käfer {place * 'sehr '}rot, 一只甲虫." for place, row in enumerate(pictured)}
    made = [captions._row(row, told[row["question_id"]], cast("Knobs", limits)) for row in pictured]
    pq.write_table(pa.Table.from_pylist(made, schema=captions._SCHEMA), tmp_path / "taught.parquet")
    lengths = json.loads(ran(TAUGHT, tmp_path / "taught.parquet", *folders).strip().splitlines()[-1])
    keys = {"data.min_pixels": limits.min_pixels, "data.max_pixels": limits.max_pixels}
    recipe = TrainingRecipe(preflight=PreflightSection(processes=1))
    for folder, verl in zip(folders, lengths, strict=True):
        with Inspection(recipe, QUIET, write=False, cache=tmp_path / "cache") as inspection:
            middle = sorted(verl)[len(verl) // 2]
            inspection.captions(CaptionData(files, told, middle, keys, folder))
            pool = inspection._pools.of(settings(folder, keys))
            seen = [pool.one("captions", part, told, middle) for part in slices(files.train, [False])]
        ours = [int(length) for one in seen for length in one.tokens]
        assert ours == verl
        found = [one for one in inspection.findings.all() if one.check == "long_caption"]
        assert 0 < sum(one.count for one in found) == sum(length > middle for length in ours)


def test_an_arithmetic_that_is_wrong_is_found_out_and_not_used(tmp_path: Path) -> None:
    files = write(tmp_path, [seeing(number, picture(64 + 32 * number, 64)) for number in range(3)])
    folder = model(tmp_path, "like Qwen3-VL-8B")
    findings = Findings()
    # One limit alone: the processor passes over it, its arithmetic does not.
    keys = {"data.mm_processor_kwargs.max_pixels": 40_000}
    parts = slices(files.train, [True])
    with Pools(tmp_path / "cache", 1) as pools:
        held, seen = measure(Measuring("p", parts, 999, False, pools, QUIET, findings), settings(folder, keys))
    assert held.exact
    assert "disagree" in findings.all()[0].text
    (verl,) = of_verl([(folder, files, {"mm_processor_kwargs": {"max_pixels": 40_000}})])
    assert [int(one) for one in tokens_of(seen)] == verl["lengths"]


def test_the_tests_light_processor_counts_as_the_real_one(tmp_path: Path) -> None:
    files = rows(tmp_path, marked=True)
    folder = model(tmp_path, "like Qwen3-VL-8B")
    ours = of_ours(folder, files, {}, tmp_path / "cache")
    light = LightLengths(settings(folder, {}), least=65536, most=16777216)
    counted = []
    for part in slices(files.train, [True]):
        for _, row in read(part):
            sizes = [image_size(image["bytes"], upright=True) for image in row["images"]]
            counted.append(light.count(row["prompt"], sizes).tokens)
    assert counted == ours
