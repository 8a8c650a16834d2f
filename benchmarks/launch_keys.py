"""`launch_keys_checked`: every shipped recipe, composed with verl's configuration, against `training/launch_keys.yaml`.

Counted are the keys that touch learning, of each different stage of each recipe and of each backbone of the paper.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from capcurriculum import recipe
from capcurriculum.recipe.training import KnobChanges, StageRun, TrainingRecipe
from training import knobs
from training.on_verl import config, environment, overrides

RECIPES = Path(__file__).parent.parent / "curricula" / "recipes"
TABLE = Path(config.__file__).parent / "launch_keys.yaml"
BACKBONES = (
    "qwen3_vl_8b", "qwen2_5_vl_7b", "internvl3_8b", "internvl3_5_8b", "qwen3_5_9b", "qwen3_5_4b", "micro", "micro_gpu",
)  # fmt: skip
_PATHS = config.Paths((Path("/t.parquet"),), (Path("/v.parquet"),), Path("/m"), Path("/c"), Path("/s"))
_STEPS = 90
#: What no shipped recipe has: adapters, a learning rate that falls, sequences split over GPUs, weights offloaded.
_CHANGED = KnobChanges(
    lora_rank=32, lora_alpha=64, schedule="cosine", min_lr_ratio=0.1, sequence_parallel=2, offload_parameters=True
)
_COMPOSE = """
import json, os, sys, warnings
warnings.simplefilter("ignore")
import verl
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
out = []
with initialize_config_dir(os.path.join(os.path.dirname(verl.__file__), "trainer", "config"), version_base=None):
    for words in json.load(sys.stdin):
        out.append(OmegaConf.to_container(compose("ppo_trainer", overrides=words), resolve=True))
print("\\n" + json.dumps(out))
"""


@dataclass(frozen=True, slots=True)
class Launch:
    """One stage of a recipe under one backbone."""

    name: str
    recipe: TrainingRecipe
    run: StageRun

    @property
    def keys(self) -> dict[str, Any]:
        """What we give verl."""
        base = knobs.backbone(self.recipe.backbone)
        return config.config(self.recipe, base, self.run, knobs.resolve(self.recipe, self.run), _PATHS, _STEPS)


def launches() -> list[Launch]:
    """Every GRPO stage of the shipped recipes, and each stage of each backbone; those that launch alike once."""
    found = {name: launch for name, launch in _all()}
    unlike = {json.dumps(launch.keys, sort_keys=True): launch for launch in found.values()}
    return list(unlike.values())


def _all() -> Iterator[tuple[str, Launch]]:
    for path in sorted(RECIPES.rglob("*.yaml")):
        training = recipe.load(path).training
        if training is None:
            continue
        kind = getattr(training.order, "order", training.order)
        names = (
            ("perception", "text", "visual")
            if kind in (None, "capability", "capability_x_difficulty")
            else (str(kind),)
        )
        for run in training.stages or [StageRun(stage=name) for name in names]:
            if run.method == "grpo":
                yield f"{path.stem}/{run.stage}", Launch(f"{path.stem}/{run.stage}", training, run)
    yield (
        "every_knob",
        Launch("every_knob", TrainingRecipe(backbone="qwen3_vl_8b", knobs=_CHANGED), StageRun(stage="text")),
    )
    for backbone in BACKBONES:
        for name in ("perception", "text", "visual", "merged"):
            label = f"{backbone}/{name}"
            yield label, Launch(label, TrainingRecipe(backbone=backbone), StageRun(stage=name))


def composed(found: list[Launch]) -> list[dict[str, Any]]:
    """verl's whole configuration of each, dotted keys to values."""
    words = json.dumps([overrides.arguments(one.keys) for one in found])
    done = subprocess.run(
        [sys.executable, "-c", _COMPOSE],
        input=words, env=environment.trainer_environment("cpu"), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [dict(_leaves(one, "")) for one in json.loads(done.stdout.strip().splitlines()[-1])]


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else key)
    elif not name.endswith("_target_"):
        yield name, value


def unlike(launch: Launch, keys: Mapping[str, Any], table: Mapping[str, Any]) -> tuple[int, list[str]]:
    """How many keys equal the table, and a line for each that does not or that stands nowhere in it."""
    settled, base = knobs.resolve(launch.recipe, launch.run), knobs.backbone(launch.recipe.backbone)
    short = {"float32": "fp32", "bfloat16": "bf16"}[base.dtype]
    of_backbone = {"dtype": base.dtype, "short dtype": short, "image_patch_size": base.image_patch_size}
    wanted = dict(table["learned"]) | {key: getattr(settled, knob) for key, knob in table["knobs"].items()}
    wanted |= {key: of_backbone[what] for key, what in table["backbone"].items()}
    if base.template:
        del wanted[overrides.TEMPLATE.removesuffix(".")]
        wanted |= config.template(base)
    wanted |= dict.fromkeys(("data.seed", "actor_rollout_ref.rollout.seed"), launch.recipe.seed)
    wanted["actor_rollout_ref.actor.data_loader_seed"] = launch.recipe.seed
    lines = [
        f"{launch.name}: {key} is {keys.get(key, 'absent')!r}, and the table says {value!r}"
        for key, value in wanted.items()
        if key not in keys or keys[key] != value
    ]
    unknown = [key for key in keys if key not in wanted and not key.startswith(tuple(table["machine"]))]
    return len(wanted) - len(lines), lines + [f"{launch.name}: {key} stands nowhere in {TABLE.name}" for key in unknown]


def checked() -> float:
    """The number of keys that are what the table says.

    Raises:
        ValueError: one is not, or stands nowhere.
    """
    table, found, count, faults = yaml.safe_load(TABLE.read_text(encoding="utf-8")), launches(), 0, list[str]()
    for one, keys in zip(found, composed(found), strict=True):
        same, lines = unlike(one, keys, table)
        count, faults = count + same, faults + lines
    if faults:
        raise ValueError("; ".join(faults[:20]))
    print(f"{len(found)} different launches")
    return float(count)
