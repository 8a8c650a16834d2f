"""The whole way in processes of their own, with every default: publish, download elsewhere, read with verl, train."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from datagen import micro
from tests.support import hub_runs
from tests.support.hub_server import serving
from tests.support.installed import needs
from training import stage_files
from training.on_verl import environment

pytestmark = pytest.mark.slow
needs("verl", extra="train")

READ = """
import sys, json
from pathlib import Path
import datasets
from huggingface_hub import snapshot_download
from omegaconf import OmegaConf
from verl.utils import hf_processor, hf_tokenizer
from verl.utils.dataset.rl_dataset import RLHFDataset
repo, model = sys.argv[1:]
rows = {split: len(found) for split, found in datasets.load_dataset(repo).items()}
folder = Path(snapshot_download(repo, repo_type="dataset"))
config = OmegaConf.create(dict(max_prompt_length=512, filter_overlong_prompts=False, image_key="images",
                               truncation="error", image_patch_size=16))
files = [str(path) for path in sorted(folder.glob("data/train-*.parquet"))]
read = RLHFDataset(files, hf_tokenizer(model), config, hf_processor(model))
print(json.dumps({"rows": rows, "verl": len(read), "keys": sorted(read[0])}))
"""


@pytest.mark.timeout(400)
def test_what_one_machine_publishes_another_trains_on(tmp_path: Path) -> None:
    run = hub_runs.build(tmp_path / "here", side=64)
    with serving(tmp_path / "server") as served:
        variables = hub_runs.environment(served, tmp_path / "home")

        def call(*arguments: str, cwd: Path = tmp_path, **more: str) -> str:
            settings = environment.trainer_environment("cpu") | os.environ | variables | more
            done = subprocess.run(
                [sys.executable, *arguments], env=settings, cwd=cwd, capture_output=True, text=True, timeout=300
            )
            assert done.returncode == 0, done.stderr[-3000:]
            assert hub_runs.TOKEN not in done.stdout + done.stderr
            return done.stdout

        verb = ("-m", "capcurriculum.cli")
        call(*verb, "publish", str(run.path), "--tag", "v1")
        there = tmp_path / "there"
        there.mkdir()
        call(*verb, "download", "alice/small", "--revision", "v1", cwd=there, HF_HOME=str(tmp_path / "other"))
        plan = call(*verb, "train", "runs/small/recipe.yaml", "--dry-run", cwd=there)
        assert plan.count("verl.trainer.main_ppo") == 3
        for stage in ("perception", "text", "visual"):
            found = stage_files.set_files(stage, [there / "runs" / "small" / "stages" / stage])
            assert found.digest == stage_files.set_files(stage, [run.path / "stages" / stage]).digest
        said = call("-c", READ, "alice/small-VisualReasoning-Data", str(micro.checkpoint("start")))
        read = json.loads(said.strip().splitlines()[-1])
        assert sum(read["rows"].values()) == 20
        assert read["verl"] == read["rows"]["train"]
    traces = [path for path in tmp_path.rglob("*") if path.is_file() and hub_runs.TOKEN.encode() in path.read_bytes()]
    assert traces == []
