"""verl's single-turn agent loop with a fixed reply in place of sampling.

The reply is appended to the prompt that verl has built, and the rollout server returns the log-probabilities of its
input (`prompt_logprobs`), as for the teachers of verl's distillation. `loop.yaml` registers the loop with verl.
"""

from collections.abc import Sequence
from typing import Any

from verl.experimental.agent_loop.agent_loop import AgentLoopOutput
from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop
from verl.workers.rollout.replica import TokenOutput

#: The name of this loop in `loop.yaml`, and the rows' key that holds the reply's token ids.
NAME, REPLY = "pixel_canary", "canary_reply"
#: Key of the output's extra fields: how many more prompt tokens the server had than it was sent.
GROWN = "canary_grown"


class FixedReplyLoop(SingleTurnAgentLoop):
    """Returns the fixed reply and its log-probabilities as if it had been sampled."""

    server_manager: Any

    async def run(self, sampling_params: dict[str, Any], **kwargs: Any) -> AgentLoopOutput:
        """As in the base class; `sampling_params` are not used."""
        self.server_manager = _Scorer(self.server_manager, [int(token) for token in kwargs.pop(REPLY)])
        return await super().run(sampling_params, **kwargs)


class _Scorer:
    """verl's client of the rollout servers, scoring one reply."""

    def __init__(self, client: Any, reply: Sequence[int]) -> None:
        self.client = client
        self.reply = list(reply)

    async def generate(self, *, prompt_ids: list[int], sampling_params: dict[str, Any], **kwargs: Any) -> TokenOutput:
        params = {"max_tokens": 1, "temperature": 1.0, "prompt_logprobs": 0, "detokenize": False}
        given = [*prompt_ids, *self.reply]
        output: TokenOutput = await self.client.generate(prompt_ids=given, sampling_params=params, **kwargs)
        # Entry i is the log-probability of token i + 1 of the input; the last is a dummy.
        values = [value for (value,) in output.extra_fields.pop("prompt_logprobs")]
        tokens = [token for (token,) in output.extra_fields.pop("prompt_ids")]
        part = slice(-len(self.reply) - 1, -1)
        if tokens[part] != self.reply:
            raise RuntimeError(f"The rollout server scored the tokens {tokens[part]} in place of {self.reply}.")
        extra = output.extra_fields | {GROWN: len(tokens) - len(given)}
        return output.model_copy(update={"token_ids": self.reply, "log_probs": values[part], "extra_fields": extra})
