"""The parts of a model card as Markdown."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from capcurriculum import prompts
from capcurriculum.render.markdown import Cell, Md, block, code, listed, number, table
from cards.model.base import Base
from cards.model.training import REWARD, SECONDS, TOKENS, Stage, Training
from training.supervise import curves
from training.supervise.curves import Panel

#: Name of a setting -> verl's key.
KNOBS: Mapping[str, str] = {
    "learning rate": "actor_rollout_ref.actor.optim.lr",
    "schedule of the learning rate": "actor_rollout_ref.actor.optim.lr_scheduler_type",
    "weight of the KL loss": "actor_rollout_ref.actor.kl_loss_coef",
    "clip below": "actor_rollout_ref.actor.clip_ratio_low",
    "clip above": "actor_rollout_ref.actor.clip_ratio_high",
    "temperature of rollouts": "actor_rollout_ref.rollout.temperature",
    "prompt tokens, at most": "data.max_prompt_length",
    "reply tokens, at most": "data.max_response_length",
    "reward for the right answer": "reward.custom_reward_function.reward_kwargs.accuracy_weight",
    "reward for the format": "reward.custom_reward_function.reward_kwargs.format_weight",
    "weights kept in": "actor_rollout_ref.actor.fsdp_config.model_dtype",
}
_LENGTH = ("actor_rollout_ref.rollout.max_model_len", "data.max_prompt_length", "data.max_response_length")


def stages(found: Training) -> Md | None:
    """The table of stages; None without any."""
    rows: list[list[Cell]] = []
    for one in found.stages:
        validation = Md("not measured") if one.validation is None else number(one.validation, 3)
        rows.append(
            [code(one.stage), Md(one.method), one.rows, one.epochs, one.total_steps, one.batch_size, one.rollouts,
             _change(found.logged(one.stage, REWARD), 3), _change(found.logged(one.stage, TOKENS), 1),
             _hours(found.logged(one.stage, SECONDS)), validation]
        )  # fmt: skip
    names = ("rows", "epochs", "steps", "prompts a step", "replies a prompt")
    more = ("reward, first to last step", "reply tokens", "hours", "validation")
    return table(("stage", "method", *names, *more), rows, (*names, *more)) if rows else None


def drawn(found: Training) -> list[Panel]:
    """The panels of the plot of a chain; empty without metrics."""
    return curves.panels({found.name: found.frame}) if found.frame.height else []


def curve(found: Training) -> Md | None:
    """The plot of a chain with its caption; None without metrics."""
    panels = drawn(found)
    if not panels:
        return None
    alt = f"{', '.join(panel.label for panel in panels)} over the steps of all stages"
    image = f"![{alt[0].upper()}{alt[1:]}](pictures/training.png)"
    held_out = [listed(map(code, panel.lines)) for panel in panels if panel.held_out]
    text = "Held-out accuracy is the share of right replies to validation rows, which no training batch holds: those of"
    return Md("\n\n".join([image, *(f"{text} {names}." for names in held_out)]))


def _change(values: Sequence[float], digits: int) -> Md:
    return Md(f"{values[0]:.{digits}f} to {values[-1]:.{digits}f}") if values else Md("not logged")


def _hours(seconds: Sequence[float]) -> Md:
    return number(sum(seconds) / 3600, 3) if seconds else Md("not logged")


def knobs(found: Training) -> Md | None:
    """The table of settings by stage, without those that no stage sets; None if there are none."""
    rows: list[list[Cell]] = []
    for name, key in KNOBS.items():
        values = [one.config.get(key) for one in found.stages]
        if any(value is not None for value in values):
            rows.append([Md(name), *(code(str(value)) if value is not None else Md("") for value in values)])
    titles = [code(one.stage) for one in found.stages]
    return table(("setting", *titles), rows) if rows else None


def digests(found: Training) -> list[Md]:
    """The digests that identify each stage."""
    return [
        Md(f"{code(s.stage)}: rows {code(s.dataset_digest)}, settings {code(s.config_digest)}, parent {code(s.parent_digest)}, checkpoint {code(s.checkpoint_digest)}")  # noqa: E501
        for s in found.stages
    ]  # fmt: skip


def longest(stages_: Sequence[Stage]) -> int | None:
    """The context length of the last stage in tokens; None if unknown."""
    config: Mapping[str, Any] = stages_[-1].config if stages_ else {}
    whole, *both = (config.get(key) for key in _LENGTH)
    if isinstance(whole, int):
        return whole
    return sum(both) if all(isinstance(part, int) for part in both) else None  # type: ignore[arg-type]


def serve(repo_id: str, length: int | None) -> Md:
    """The command that serves the model, and a request with the prompt of training."""
    most = f" --max-model-len {length}" if length else ""
    body = {
        "model": repo_id,
        "messages": [
            {"role": "system", "content": prompts.system()},
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": "https://example.com/picture.jpg"}},
                    {"type": "text", "text": "What is in this picture?"},
                ],
            },
        ],
    }
    text = json.dumps(body, indent=2)
    quoted = text.replace("'", "'\\''")
    lines = [
        f"vllm serve {repo_id}{most} --limit-mm-per-prompt '{{\"image\": 1}}'",
        "",
        "curl http://127.0.0.1:8000/v1/chat/completions -H 'Content-Type: application/json' -d '" + quoted + "'",
    ]
    return block("\n".join(lines), 6_000, "sh")


def start(found: Base | None) -> Md:
    """The sentence on the base model."""
    if found is None:
        return Md("What it was trained from is unknown.")
    where = "a small model that comes with capcurriculum" if found.micro else "the base model"
    return Md(f"It was trained from {code(found.name)}, {where}.")


def architecture(config: Mapping[str, Any]) -> Md:
    """The architectures in `config.json`."""
    names = config.get("architectures")
    return listed((code(str(name)) for name in names) if isinstance(names, list) else (), none="unknown")
