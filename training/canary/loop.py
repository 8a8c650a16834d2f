"""verl's single-turn agent loop with a fixed reply: what is replaced is the sampling, and nothing else.

The reply is appended to the prompt that verl has built, and the rollout server is asked for the log-probabilities of
what it is given (`prompt_logprobs`), as verl asks the teachers of its distillation. Named to verl by `loop.yaml`.
"""

from collections.abc import Sequence
from typing import Any

from verl.experimental.agent_loop.agent_loop import AgentLoopOutput
from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop
from verl.workers.rollout.replica import TokenOutput

#: The name of this loop in `loop.yaml`, and the rows' key that holds the reply's token ids.
NAME, REPLY = "pixel_canary", "canary_reply"
#: Among the output's extra fields: tokens of prompt that the server had beyond those it was sent.
GROWN = "canary_grown"


class FixedReplyLoop(SingleTurnAgentLoop):
    """The reply's log-probabilities come back as those of a reply that was sampled."""

    server_manager: Any

    async def run(self, sampling_params: dict[str, Any], **kwargs: Any) -> AgentLoopOutput:
        """As verl's own; `sampling_params` are not used."""
        self.server_manager = _Scorer(self.server_manager, [int(token) for token in kwargs.pop(REPLY)])
        return await super().run(sampling_params, **kwargs)


class _Scorer:
    """verl's client of the rollout servers, asked to score one reply."""

    def __init__(self, client: Any, reply: Sequence[int]) -> None:
        self.client = client
        self.reply = reply

    async def generate(self, *, prompt_ids: list[int], sampling_params: dict[str, Any], **kwargs: Any) -> TokenOutput:
        asked = {"max_tokens": 1, "temperature": 1.0, "prompt_logprobs": 0, "detokenize": False}
        given = [*prompt_ids, *self.reply]
        output: TokenOutput = await self.client.generate(prompt_ids=given, sampling_params=asked, **kwargs)
        # One entry a token of the given text: the log-probability of the token after it; the last is a dummy.
        values = [value for (value,) in output.extra_fields.pop("prompt_logprobs")]
        tokens = [token for (token,) in output.extra_fields.pop("prompt_ids")]
        ours = slice(-len(self.reply) - 1, -1)
        if tokens[ours] != list(self.reply):
            raise RuntimeError(f"The rollout server scored the tokens {tokens[ours]} in place of {list(self.reply)}.")
        extra = output.extra_fields | {GROWN: len(tokens) - len(given)}
        return output.model_copy(
            update={"token_ids": list(self.reply), "log_probs": values[ours], "extra_fields": extra}
        )
