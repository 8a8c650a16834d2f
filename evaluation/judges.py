"""Who judges replies that no program can grade, by name; and whether it is there.

Kits fall back to exact matching when their judge does not answer, some of them in silence. So the judge is asked first,
by us, and every request to it goes through a relay that counts what failed: a benchmark without its judge has no score.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from capcurriculum.errors import EvaluationError
from evaluation import kits
from evaluation.serving.relay import Relay, Upstream, new_token, relaying
from evaluation.suites import Judge, Suite

EXACT = "exact"
_BEDROCK = "bedrock:"
_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Named:
    """A judge and the name that results show."""

    name: str
    judge: Judge


def resolve(name: str, suite: Suite) -> Named | None:
    """The judge that a user names, "" for the suite's; None for no judge but exact matching.

    Raises:
        EvaluationError: there is none of that name.
    """
    wanted = name or suite.judge
    if wanted in ("", EXACT):
        return None
    if wanted in suite.judges:
        return Named(wanted, suite.judges[wanted])
    if wanted.startswith(_BEDROCK):
        return Named(wanted.removeprefix(_BEDROCK), Judge(bedrock=wanted.removeprefix(_BEDROCK)))
    model, at, url = wanted.partition("@")
    if not at:
        known = ", ".join((*suite.judges, EXACT))
        raise EvaluationError(f"There is no judge {wanted!r}: name {known}, MODEL@URL, or bedrock:ID.")
    try:
        return Named(model, Judge(model=model, base_url=url))
    except ValueError as error:
        raise EvaluationError(
            f"What stands behind the @ of the judge {model} is no base URL; it looks like http://127.0.0.1:8000/v1."
        ) from error


@contextmanager
def sitting(named: Named, kit: "kits.Kit", folder: Path) -> Iterator[Relay]:
    """A relay to the judge, which is there.

    Raises:
        EvaluationError: it does not answer; the sentence says what it said.
    """
    judge = named.judge
    journal = folder / "judge.jsonl"
    if judge.bedrock:
        token = new_token()
        with kits.bedrock(kit, judge.bedrock, folder, token) as url:
            yield from _asked(named, Upstream(url, token, model=judge.bedrock, timeout_seconds=_SECONDS), journal)
    else:
        key = os.environ.get(judge.api_key_env, "")
        upstream = Upstream(judge.base_url.rstrip("/"), key, model=judge.model, timeout_seconds=_SECONDS)
        yield from _asked(named, upstream, journal)


def _asked(named: Named, upstream: Upstream, journal: Path) -> Iterator[Relay]:
    with relaying(upstream, journal) as relay:
        # Never from the record: it may have been there yesterday.
        turn = {"role": "user", "content": "Hello. Answer with one word."}
        body = json.dumps({"model": upstream.model, "messages": [turn], "max_tokens": 16, "temperature": 0}).encode()
        status, _, why = relay.send(body)
        if status != 200:
            raise EvaluationError(f"the judge {named.name} does not answer ({why})")
        yield relay
