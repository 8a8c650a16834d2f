"""TRL's GRPO on the published sets: `rows` for the prompts and `reward` for the replies (docs/engines.md).

A stage row marks the place of each picture by `<image>` in the text, which verl and EasyR1 replace by the picture. TRL
1.16 does not: it puts the row's pictures before the first user turn's text and leaves the tags in it. So its prompts
have to come as blocks, which verl refuses beside a column of images; no one shape serves both.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from capcurriculum.errors import TrainerError
from capcurriculum.reward import ACCURACY_WEIGHT, FORMAT_WEIGHT, compute_scores
from capcurriculum.rows import Outcome

_TAG = "<image>"
_THOUGHTS = ("reasoning_content", "thinking")

#: A `datasets.Dataset`, `DatasetDict`, `IterableDataset` or `IterableDatasetDict`.
Rows = TypeVar("Rows", bound=Any)
Turn = Mapping[str, Any]


def rows(dataset: Rows) -> Rows:
    """The same rows with prompts that TRL shows as verl does: each picture in the place of its `<image>`, and no tag.

    Nothing is copied or written: the prompts of a batch change when it is read, streamed sets included.
    """
    streamed = not hasattr(dataset, "with_transform")
    read: Rows = dataset.map(_batch, batched=True) if streamed else dataset.with_transform(_batch)
    return read


class MixedBatches:
    """A base before `GRPOTrainer` for sets that mix rows with and without pictures, such as merged or replayed ones.

    Beside rows with pictures TRL 1.16 gives None as those of a row without any, which Qwen's processors refuse, and to
    a pass over rows without any it gives no patches, over which Qwen's vision towers fail. Sets of one kind need none
    of this.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        for model in (getattr(self, "model", None), getattr(self, "ref_model", None)):
            if model is not None:
                model.register_forward_pre_hook(_without_empty, with_kwargs=True)

    def _tokenize_prompts(self, prompts: list[Any]) -> tuple[Any, list[list[Any]] | None, Any]:
        ids, images, fields = super()._tokenize_prompts(prompts)  # type: ignore[misc]
        return ids, images and [one or [] for one in images], fields


def blocks(prompt: Sequence[Turn], pictures: int) -> list[dict[str, Any]]:
    """The turns of a prompt with blocks of text and places of pictures; as they are where the row has no picture.

    Raises:
        TrainerError: there are more or fewer tags than pictures.
    """
    if not pictures:
        return [dict(turn) for turn in prompt]
    turns = [{**turn, "content": _content(turn["content"])} for turn in prompt]
    tags = sum(block["type"] == "image" for turn in turns for block in turn["content"])
    if tags != pictures:
        raise TrainerError(
            f"A prompt says {_TAG} {tags} times and its row has {pictures} pictures; leave the row out, or mend it "
            f"where the set was made."
        )
    return turns


def reward(
    completions: Sequence[str | Sequence[Turn]],
    reward_model: Sequence[Mapping[str, Any]] | None = None,
    extra_info: Sequence[Mapping[str, Any] | None] | None = None,
    *,
    accuracy_weight: float = ACCURACY_WEIGHT,
    format_weight: float = FORMAT_WEIGHT,
    unparsed_penalty: float = 0.0,
    log_metric: Any = None,
    **ignored: Any,
) -> list[float | None]:
    """Score a batch with the signature of TRL's reward functions: `capcurriculum.reward.compute_scores` of each reply.

    Args:
        completions: replies, as texts or as conversations whose last turn of the assistant counts.
        reward_model: the set's column, with the gold answer of each.
        extra_info: the set's column, with options and the kind of the gold answer.
        accuracy_weight: weight of accuracy; this and the next two can be set by `functools.partial`.
        format_weight: weight of format.
        unparsed_penalty: subtracted for a reply without a readable answer.
        log_metric: TRL's, which gets the shares of right, unparsed, failed and well-formed replies.
        **ignored: the prompts and the other columns.

    Returns:
        a score for each reply; None where the grader could not compare it, which TRL leaves out of its group's mean and
        gives no advantage.

    Raises:
        TrainerError: the rows came without the column `reward_model`.
        ValueError: a gold answer is no option's letter.
    """
    if reward_model is None:
        raise TrainerError(
            "The rows came to the reward without their column reward_model; train on a set of this project, and leave "
            "remove_unused_columns of GRPOConfig false."
        )
    scores = compute_scores(
        [""] * len(completions),
        [_reply(one) for one in completions],
        [one["ground_truth"] for one in reward_model],
        extra_info,
        accuracy_weight=accuracy_weight,
        format_weight=format_weight,
        unparsed_penalty=unparsed_penalty,
    )
    outcomes = [one["outcome"] for one in scores]
    if log_metric is not None and scores:
        for outcome in (Outcome.RIGHT, Outcome.UNPARSED, Outcome.FAILED):
            log_metric(f"replies/{outcome}", outcomes.count(outcome) / len(outcomes))
        log_metric("replies/well_formed", sum(float(one["format"]) for one in scores) / len(scores))
    return [None if one["outcome"] == Outcome.FAILED else float(one["score"]) for one in scores]


def _batch(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
    if "prompt" not in batch:
        return batch
    images = batch.get("images") or [None] * len(batch["prompt"])
    prompts = [blocks(prompt, len(one or ())) for prompt, one in zip(batch["prompt"], images, strict=True)]
    return {**batch, "prompt": prompts}


def _without_empty(model: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    pixels = named.get("pixel_values")
    if pixels is not None and not len(pixels):
        named = {name: value for name, value in named.items() if name not in ("pixel_values", "image_grid_thw")}
    return arguments, named


def _content(text: str) -> list[dict[str, str]]:
    pieces = [piece for piece in re.split(f"({_TAG})", text) if piece]
    return [{"type": "image"} if piece == _TAG else {"type": "text", "text": piece} for piece in pieces]


def _reply(completion: str | Sequence[Turn]) -> str:
    """The whole reply; a thought that TRL has parsed into a field of its own is put back before it."""
    if isinstance(completion, str):
        return completion
    turn = next((turn for turn in reversed(completion) if turn["role"] == "assistant"), {})
    content = turn.get("content") or ""
    if not isinstance(content, str):
        content = "".join(block.get("text") or "" for block in content)
    thought = next((turn[name] for name in _THOUGHTS if turn.get(name)), "")
    return f"<think>{thought}</think>{content}" if thought else content
