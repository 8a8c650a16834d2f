"""`evaluate --dry-run`: the models, what is left to ask, and the commands that would run."""

import json
import shlex
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from evaluation import kits, own_runner
from evaluation.job import Job
from evaluation.lmmseval import run as lmmseval
from evaluation.lmmseval import session as lmms_session
from evaluation.serving import open, vllm_command
from evaluation.serving.models import Target
from evaluation.vlmevalkit import run as vlmevalkit
from evaluation.vlmevalkit import session as kit_session

#: Stands for the relay's address, whose port is not known yet.
_RELAY = "http://127.0.0.1:PORT/v1"


def lines(job: Job, target: Target, engine: str) -> Iterator[str]:
    """The plan of one model. No request is sent, and only a temporary folder is written.

    Raises:
        CapCurriculumError: the evaluation could not start.
    """
    prompt = "with the system prompt" if target.system else "without a system prompt"
    weights = f", weights {target.weights}" if target.weights else ""
    yield f"{target.label}{weights}: {prompt}, replies of at most {job.tokens(target)} tokens; results: {job.folder}"
    with tempfile.TemporaryDirectory(prefix="capcurriculum-plan-") as name:
        temporary = replace(job, folder=Path(name))
        yield from _PLANS[engine](job, temporary, target)


def _server(job: Job, target: Target) -> str:
    if target.url:
        return f"  asked through {target.url}"
    return f"  {vllm_command.launch(target, replace(job.serving(), port=8000)).shell()}"


def _kit(session: kits.Session) -> str:
    kit, distribution = session.kit, session.distributions[0]
    if kit.version == kits.UNASKED:
        return f"  {kit.python} is named by a recipe, so a dry run does not start it to ask for its {distribution}"
    return f"  {kit.python} has {distribution} {kit.version}"


def _own(job: Job, temporary: Job, target: Target) -> Iterator[str]:
    how = open.runner(target, job)
    yield f"  asked through {how}" if how in ("transformers", "vllm") else _server(job, target)
    for asking in own_runner.prepared(temporary, target):
        asking.remember(job.folder)
        faulty = sum(bool(item.fault) for item in asking.benchmark.items)
        yield (
            f"  {asking.begun.benchmark}: {asking.begun.samples} samples (digest {asking.benchmark.digest}), "
            f"{asking.missing} to ask, {faulty} cannot be asked"
        )


def _vlmevalkit(job: Job, temporary: Job, target: Target) -> Iterator[str]:
    session, datasets, named = vlmevalkit.prepare(temporary, target)
    session = replace(session, folder=(job.folder / kit_session.NAME / session.setup).absolute())
    yield _kit(session)
    yield _server(job, target)
    for one in datasets:
        done = "done" if vlmevalkit.finished(job, session, one, named) else "to do"
        done = "whether it is done is not known" if session.kit.version == kits.UNASKED else done
        yield f"  {job.name(one.entry)}: class {one.kit_class}, known to the kit as {one.name}, {done}"
    path = session.folder / "config.json"
    configuration = session.configuration(datasets, _RELAY, target.alias)
    yield f"  {path}:\n{json.dumps(configuration, indent=1, ensure_ascii=False)}"
    yield f"  {shlex.join([session.kit.python, *session.command(path), '--mode', 'infer'])}"
    judge = f"--judge {kit_session.JUDGE} (that is {named.name})" if named else f"--judge {kit_session.EXACT}"
    yield f"  the same with --mode eval {judge}"


def _lmmseval(job: Job, temporary: Job, target: Target) -> Iterator[str]:
    session, tasks = lmmseval.prepare(temporary, target)
    session = replace(session, folder=(job.folder / lmms_session.NAME / session.setup).absolute())
    yield _kit(session)
    yield _server(job, target)
    for task in tasks:
        words = [session.kit.python, *session.command(task, _RELAY, target.alias)]
        yield f"  {job.name(task.entry)}: {shlex.join(words)}"


_PLANS = {own_runner.NAME: _own, kit_session.NAME: _vlmevalkit, lmms_session.NAME: _lmmseval}
