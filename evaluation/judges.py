"""Judge models by name, and a relay to one that is known to answer.

Kits fall back to exact matching when their judge does not answer, some of them silently. So the judge is probed first,
and every request to it goes through a relay that counts failures: a benchmark whose judge failed has no score.
"""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from capcurriculum.did_you_mean import meant
from capcurriculum.errors import EvaluationError
from capcurriculum.recipe.models import DEFAULT_KEY
from evaluation import kits
from evaluation.serving.relay import Relay, Upstream, new_token, relaying
from evaluation.suites import Judge, Suite

EXACT = "exact"
_BEDROCK = "bedrock:"
_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class NamedJudge:
    """A judge and its name in results."""

    name: str
    judge: Judge


def resolve(name: str, suite: Suite) -> NamedJudge | None:
    """The judge called `name` ("": the suite's); None for exact matching.

    Raises:
        EvaluationError: there is no such judge.
    """
    wanted = name or suite.judge
    if wanted in ("", EXACT):
        return None
    if wanted in suite.judges:
        return NamedJudge(wanted, suite.judges[wanted])
    if wanted.startswith(_BEDROCK):
        return NamedJudge(wanted.removeprefix(_BEDROCK), Judge(bedrock=wanted.removeprefix(_BEDROCK)))
    model, at, url = wanted.partition("@")
    if not at:
        known = (*suite.judges, EXACT)
        near = meant(wanted, known)
        raise EvaluationError(f"There is no judge {wanted!r}{near}: name {', '.join(known)}, MODEL@URL, or bedrock:ID.")
    try:
        return NamedJudge(model, Judge(model=model, base_url=url))
    except ValueError as error:
        raise EvaluationError(
            f"The text after the @ of the judge {model} is no base URL; give one like http://127.0.0.1:8000/v1."
        ) from error


@contextmanager
def sitting(named: NamedJudge, kit: kits.Kit, folder: Path) -> Iterator[Relay]:
    """A relay to the judge, which has answered a probe.

    Raises:
        EvaluationError: it does not answer; the text is the reason, without a full stop.
    """
    judge, token = named.judge, new_token()
    with ExitStack() as stack:
        if judge.bedrock:
            url = stack.enter_context(kits.bedrock(kit, judge.bedrock, folder, token))
            upstream = Upstream(url, token, model=judge.bedrock, timeout_seconds=_SECONDS)
        else:
            key = os.environ.get(judge.api_key_env, "")
            if not key and judge.api_key_env != DEFAULT_KEY:
                raise EvaluationError(f"the variable that api_key_env of the judge {named.name} names is not set")
            upstream = Upstream(judge.base_url.rstrip("/"), key, model=judge.model, timeout_seconds=_SECONDS)
        relay = stack.enter_context(relaying(upstream, folder / "judge.jsonl"))
        # Sent directly, since the journal may hold a reply from a time when the judge was up.
        turn = {"role": "user", "content": "Hello. Answer with one word."}
        body = json.dumps({"model": upstream.model, "messages": [turn], "max_tokens": 16, "temperature": 0}).encode()
        status, _, why = relay.send(body)
        if status != 200:
            raise EvaluationError(f"the judge {named.name} does not answer ({why})")
        yield relay
