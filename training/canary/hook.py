"""The pixel canary inside verl's trainer, which imports this module by name as that of its agent-loop manager.

verl's trainer calls one method before the first step and one after each. In both, unlike during a save, the rollout
servers are awake and hold the actor's weights. A check follows the order of a training step: rollouts while the servers
are awake; then they sleep and the actor's worker computes log-probabilities; then the weights are sent again, which
wakes them.
"""

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import transfer_queue as tq
from verl.trainer.ppo.padding_utils import upsample_batch_to_divisible_size
from verl.trainer.ppo.v1.agent_loop_tq import AgentLoopManagerTQ
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync
from verl.utils import tensordict_utils as tu
from verl.utils.dataset.rl_dataset import collate_fn
from verl.workers.utils.padding import response_from_nested

from training.canary.loop import GROWN, NAME, REPLY
from training.canary.probes import Probe, probes, rows_with_pictures
from training.canary.record import FILE, PixelCanaryError, sentence
from training.canary.rule import Reading, judge

#: At most so many tokens of a row's gold answer are compared.
_TOKENS = 16
_PARTITION = "val"  # training batches are never drawn from it
_FIELDS = ("log_probs", "response_mask", "rollout_log_probs", "extra_fields")


class WatchedAgentLoops(AgentLoopManagerTQ):
    """verl's own manager under a name that makes verl import this module."""


class Canary:
    """The rows of one attempt, the same for all its checks."""

    def __init__(self, trainer: Any, seed: int) -> None:
        config = trainer.config
        self.trainer = trainer
        self.file = Path(config.trainer.default_local_dir).parent / FILE
        self.rows = [trainer.train_dataset[place] for place in rows_with_pictures(trainer.train_dataset, seed)]
        self.room = int(config.data.max_response_length) - 1  # the server generates at least one token
        self.replies = [self._reply(row) for row in self.rows]

    def look(self) -> None:
        """Compare trainer and rollout engine on the current weights; does nothing if no row has an image.

        Raises:
            PixelCanaryError: they do not see the same images.
        """
        if not self.rows:
            return
        begun = time.monotonic()
        readings = self._readings()
        verdict = judge(readings)
        text = sentence(verdict, self.trainer.global_steps)
        record = {
            "step": self.trainer.global_steps,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - begun, 2),
            **asdict(verdict),
            "sentence": text,
            "rows": [str(row["extra_info"].get("question_id", row["index"])) for row in self.rows],
            "readings": [asdict(reading) for reading in readings],
        }
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        if verdict.state == "fault":
            raise PixelCanaryError(text)

    def _reply(self, row: Mapping[str, Any]) -> list[int]:
        """Token ids of the row's gold answer in a box, the reply that depends most on the image."""
        text = f"\\boxed{{{row['reward_model']['ground_truth']}}}"
        ids: list[int] = self.trainer.tokenizer.encode(text, add_special_tokens=False)
        return ids[: min(_TOKENS, self.room)]

    def _readings(self) -> list[Reading]:
        """Both engines' log-probabilities of all probes, in the order of the actor's batch."""
        trainer = self.trainer
        asked = {str(uuid.uuid4()): probe for probe in probes([row["raw_prompt"] for row in self.rows])}
        batch = self._generated(asked)
        trainer.checkpoint_manager.sleep_replicas()
        keys, data = self._scored(batch)
        trainer.checkpoint_manager.update_weights(trainer.global_steps)
        actor = response_from_nested(data["log_probs"], data["response_mask"]).unbind()
        rollout = data["rollout_log_probs"].unbind()
        found = []
        for number, key in enumerate(keys):
            probe = asked[key.split("_")[0]]
            tokens = len(self.replies[probe.row])
            extra = data["extra_fields"][number]
            trained, rolled = (tuple(engine[number][:tokens].tolist()) for engine in (actor, rollout))
            grown = int(getattr(extra, "data", extra)[GROWN])
            found.append(Reading(probe.row, probe.picture, trained, rolled, grown))
        return found

    def _generated(self, asked: Mapping[str, Probe]) -> Any:
        """The probes after agent loop and rollout servers, as a batch of the transfer queue."""
        trainer = self.trainer
        rows = [self._sequence(uid, probe, number) for number, (uid, probe) in enumerate(asked.items())]
        batch = tu.get_tensordict(collate_fn(rows))
        tu.assign_non_tensor_data(batch, "global_steps", trainer.global_steps)
        tu.assign_non_tensor_data(batch, "validate", True)
        tags = [{"is_prompt": True, "status": "pending", "global_steps": trainer.global_steps} for _ in asked]
        tq.kv_batch_put(keys=list(asked), partition_id=_PARTITION, tags=tags)
        trainer.agent_loop_manager.generate_sequences(batch)
        done, _ = trainer.replay_buffer.sample(trainer.global_steps, _PARTITION, len(asked))
        if not done.keys:
            raise RuntimeError("No prompt of the pixel canary was answered; the agent loop's errors above say why.")
        return done

    def _sequence(self, uid: str, probe: Probe, number: int) -> dict[str, Any]:
        """A row for the agent loop.

        The reply's last token is repeated `number` times or fewer, so that sequences differ in length: torch needs that
        to tell the dimensions of a nested tensor of positions apart. Only the reply itself is compared.
        """
        reply = self.replies[probe.row]
        repeats = number % (self.room - len(reply) + 1)
        fields = {"raw_prompt": probe.messages, "uid": uid, "agent_name": NAME, "__rollout_n__": 1}
        return {**self.rows[probe.row], **fields, REPLY: reply + reply[-1:] * repeats}

    def _scored(self, batch: Any) -> tuple[list[str], Any]:
        """Keys and fields of the batch with log-probabilities of the actor's worker, in the worker's order."""
        trainer, actor = self.trainer, self.trainer.actor_rollout_wg
        ranks = max(actor._query_dispatch_info("actor")) + 1
        whole = upsample_batch_to_divisible_size(batch, ranks, trainer.tokenizer.eos_token_id)
        lengths = [tag["seq_len"] for tag in whole.tags]
        order = sorted(range(len(whole)), key=lengths.__getitem__)
        whole.reorder([place for rank in range(ranks) for place in order[rank::ranks]])
        whole.extra_info.update(calculate_entropy=False, compute_loss=False, temperature=1.0)
        rollout = trainer.config.actor_rollout_ref.rollout
        if not rollout.log_prob_use_dynamic_bsz:  # the largest allowed micro-batch that divides a rank's sequences
            allowed, sequences = int(rollout.log_prob_micro_batch_size_per_gpu), len(whole) // ranks
            size = max(n for n in range(1, allowed + 1) if sequences % n == 0)
            whole.extra_info.update(micro_batch_size_per_gpu=size)
        actor.compute_log_prob(whole)
        keys = [key for key in whole.keys if key in set(batch.keys)]
        data = tq.kv_batch_get(keys=keys, partition_id=_PARTITION, select_fields=list(_FIELDS))
        tq.kv_clear(keys=whole.keys, partition_id=_PARTITION)
        return keys, data


def _install() -> None:
    begin, end = PPOTrainerSync.on_train_begin, PPOTrainerSync.on_step_end

    def on_train_begin(self: Any) -> None:
        begin(self)
        self.global_steps -= 1  # verl has already counted the first step
        self.pixel_canary = Canary(self, int(self.config.data.seed or 0))
        self.pixel_canary.look()
        self.global_steps += 1

    def on_step_end(self: Any) -> None:
        end(self)
        every, step = self.config.trainer.save_freq, self.global_steps
        if every > 0 and (step % every == 0 or step >= self.total_training_steps):
            self.pixel_canary.look()

    PPOTrainerSync.on_train_begin, PPOTrainerSync.on_step_end = on_train_begin, on_step_end


_install()
