"""What `evaluate --dry-run` prints: who is asked what, how much of it is known already, and the commands."""

import json
import shlex
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from evaluation import kits, own_runner
from evaluation.job import Work
from evaluation.lmmseval import run as lmmseval
from evaluation.lmmseval import session as lmms_session
from evaluation.serving import open, vllm_command
from evaluation.serving.models import Target
from evaluation.vlmevalkit import run as vlmevalkit
from evaluation.vlmevalkit import session as kit_session

#: Where the relay would listen.
_RELAY = "http://127.0.0.1:PORT/v1"


def lines(work: Work, target: Target, engine: str) -> Iterator[str]:
    """The plan of one model; nothing is asked, and nothing is written but for a moment.

    Raises:
        CapCurriculumError: what would stop the evaluation.
    """
    prompt = "with the system prompt" if target.system else "without a system prompt"
    weights = f", weights {target.weights}" if target.weights else ""
    yield f"{target.label}{weights}: {prompt}, replies of at most {work.tokens(target)} tokens; results: {work.folder}"
    with tempfile.TemporaryDirectory(prefix="capcurriculum-plan-") as name:
        aside = replace(work, folder=Path(name))
        yield from _PLANS[engine](work, aside, target)


def _server(work: Work, target: Target) -> str:
    if target.url:
        return f"  asked through {target.url}"
    return f"  {vllm_command.launch(target, replace(work.serving(), port=8000)).shell()}"


def _kit(kit: kits.Kit, distribution: str) -> str:
    if kit.version == kits.UNASKED:
        return f"  {kit.python} is named by a recipe, so a dry run does not start it to ask for its {distribution}"
    return f"  {kit.python} has {distribution} {kit.version}"


def _own(work: Work, aside: Work, target: Target) -> Iterator[str]:
    how = open.runner(target, work)
    yield f"  asked through {how}" if how in ("transformers", "vllm") else _server(work, target)
    for asking in own_runner.prepared(aside, target):
        asking.remember(work.folder)
        faulty = sum(bool(item.fault) for item in asking.benchmark.items)
        yield (
            f"  {asking.begun.benchmark}: {asking.begun.samples} samples (digest {asking.benchmark.digest}), "
            f"{asking.missing} to ask, {faulty} cannot be asked"
        )


def _vlmevalkit(work: Work, aside: Work, target: Target) -> Iterator[str]:
    session, datasets, named = vlmevalkit.prepare(aside, target)
    session = replace(session, folder=(work.folder / kit_session.NAME / session.setup).absolute())
    yield _kit(session.kit, kit_session.DISTRIBUTIONS[0])
    yield _server(work, target)
    for one in datasets:
        done = "done" if vlmevalkit.finished(work, session, one, named) else "to do"
        done = "whether it is done is not known" if session.kit.version == kits.UNASKED else done
        yield f"  {work.name(one.entry)}: class {one.kit_class}, known to the kit as {one.name}, {done}"
    path = session.folder / "config.json"
    told = session.configuration(datasets, _RELAY, target.alias)
    yield f"  {path}:\n{json.dumps(told, indent=1, ensure_ascii=False)}"
    yield f"  {shlex.join([session.kit.python, *session.command(path), '--mode', 'infer'])}"
    judge = f"--judge {kit_session.JUDGE} (that is {named.name})" if named else f"--judge {kit_session.EXACT}"
    yield f"  the same with --mode eval {judge}"


def _lmmseval(work: Work, aside: Work, target: Target) -> Iterator[str]:
    session, tasks = lmmseval.prepare(aside, target)
    session = replace(session, folder=(work.folder / lmms_session.NAME / session.setup).absolute())
    yield _kit(session.kit, "lmms-eval")
    yield _server(work, target)
    for task in tasks:
        words = [session.kit.python, *session.command(task, _RELAY, target.alias)]
        yield f"  {work.name(task.entry)}: {shlex.join(words)}"


_PLANS = {own_runner.NAME: _own, kit_session.NAME: _vlmevalkit, lmms_session.NAME: _lmmseval}
