"""The paper's question in miniature: `python -m benchmarks.curricula_compare`.

Is a model that is taught perception, then text reasoning, then visual reasoning better than one taught the same rows
merged? Five arms begin with the same model and have the same rows and as many rollouts; their orders differ. The
visual stage has two versions (`curricula_rows`): one that needs what stage 1 teaches, and a control that does not.

The one contrast that was written down before the runs: staged 1-2-3 minus merged on the held-out visual rows of
`needs`, over all seeds. Everything else is exploratory.

Each arm's learning rate is chosen on seed 0, with the rows of `needs`, by the mean accuracy over the stages on rows
that the final measurement does not use; both versions then train with it. All state is in one folder, a file for every
finished training: stop the command, even with kill -9, and it goes on with what was not finished. Stage 1 alone, the
contrast and the same arms on `control` come first, then the rest; always one seed after the other, so that whatever is
there is balanced.
"""

import argparse
import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.context import ForkProcess
from pathlib import Path

import torch
from transformers.utils import logging as transformers_logging

from benchmarks import curricula_grpo as grpo
from benchmarks import curricula_page, curricula_policy, curricula_runs, curricula_start, curricula_verl
from benchmarks.curricula_arms import ARMS, FIRST, REFERENCE, STAGED, sets
from benchmarks.curricula_contrast import STATE
from benchmarks.curricula_policy import Book
from benchmarks.curricula_rows import SPLITS, VERSIONS, Task, rows
from benchmarks.curricula_state import START, Job, State
from capcurriculum import locks
from capcurriculum.errors import RunError

RATES = (1e-4, 2e-4, 3e-4)
SPARE_SEED, SEEDS = 0, (1, 2, 3, 4, 5)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What every training needs, made once before the workers are forked."""

    state: State
    start: Path
    book: Book
    rows: Mapping[str, Mapping[str, Mapping[str, Sequence[Task]]]]

    @classmethod
    def open(cls, folder: Path) -> "Comparison":
        """Make the start where it is not there, and compare the folder's knobs with these."""
        state = State(folder)
        start = curricula_start.start(folder / "start")
        state.agree(
            {
                "start": curricula_start.digest(start),
                "prompts": grpo.PROMPTS,
                "replies": grpo.REPLIES,
                "kl": grpo.KL,
                "rows": dict(SPLITS),
                "final_replies": curricula_runs.FINAL_REPLIES,
                "rates": RATES,
            }
        )
        return cls(state, start, curricula_policy.book(start), {version: rows(version) for version in VERSIONS})

    def run(self, job: Job) -> None:
        """One training, from its start to its file; the start itself also answers the training rows."""
        of = self.rows[job.version]
        if job.arm == START:
            rates = curricula_runs.pass_rates(self.start, self.book, of["train"])
            self.state.save_rates(job.version, rates)
        taught = [] if job.arm == START else sets(job.arm, of["train"], self.state.rates(job.version), job.seed)
        final = {} if job.arm != START and job.seed == SPARE_SEED else of["final"]
        _, outcome = curricula_runs.train(self.start, self.book, taught, job.rate, job.seed, of["curve"], final)
        self.state.save(job, outcome)


def chosen(state: State, arm: str) -> float | None:
    """The arm's learning rate: the one with the highest mean accuracy on the spare seed; None before all were tried."""
    found = {}
    for rate in RATES:
        job = Job(VERSIONS[0], arm, rate, SPARE_SEED)
        if not state.done(job):
            return None
        last = list(state.load(job).curve.values())[-1]
        found[rate] = sum(one.accuracy for one in last.values()) / len(last)
    return max(found, key=lambda rate: found[rate])


def ready(state: State, seeds: Sequence[int]) -> Iterator[Job]:
    """What can be trained now, in the order it should be: stage 1, the contrast, its control, the other arms by seed.

    An arm can be trained when its learning rate is chosen, and a version when the start has answered its rows.
    """
    starts = [Job(version, START, 0.0, SPARE_SEED) for version in VERSIONS]
    every = list(starts)
    first, wanted = (STAGED, REFERENCE), VERSIONS[0]
    best = {arm: chosen(state, arm) for arm in ARMS}
    best[FIRST] = best[STAGED]
    every += [Job(wanted, arm, rate, SPARE_SEED) for arm in first for rate in RATES]
    every += [job for seed in seeds for job in _seed(best, seed, VERSIONS, [FIRST])]
    every += [job for version in VERSIONS for seed in seeds for job in _seed(best, seed, [version], first)]
    every += [Job(wanted, arm, rate, SPARE_SEED) for arm in ARMS for rate in RATES]
    every += [job for seed in seeds for job in _seed(best, seed, VERSIONS, list(ARMS))]
    answered = {job.version for job in starts if state.done(job)}
    for job in dict.fromkeys(every):
        if not state.done(job) and (job in starts or job.version in answered):
            yield job


def _seed(best: Mapping[str, float | None], seed: int, versions: Sequence[str], arms: Sequence[str]) -> Iterator[Job]:
    for version in versions:
        for arm in arms:
            if (rate := best[arm]) is not None:
                yield Job(version, arm, rate, seed)


def work(comparison: Comparison, seeds: Sequence[int], workers: int, minutes: float) -> list[Job]:
    """Train what is not trained, each in a process of its own; returns those whose process failed or was killed."""
    fork = multiprocessing.get_context("fork")  # torch, the model's prompts and the pictures are there already
    begun = time.monotonic()
    failed: list[Job] = []
    running: dict[Job, ForkProcess] = {}
    while True:
        waiting = [job for job in ready(comparison.state, seeds) if job not in running and job not in failed]
        if waiting and len(running) < workers and time.monotonic() - begun < 60 * minutes:
            process = fork.Process(target=comparison.run, args=(waiting[0],), daemon=True)
            process.start()
            running[waiting[0]] = process
            continue
        if not running:
            return failed
        connection.wait([process.sentinel for process in running.values()])
        for job, process in list(running.items()):
            if process.exitcode is not None:
                del running[job]
                failed += [] if comparison.state.done(job) else [job]
                said = "finished" if comparison.state.done(job) else f"ended with code {process.exitcode}"
                print(f"{(time.monotonic() - begun) / 60:.1f} min: {job.name} {said}", flush=True)


def main() -> None:
    """Train what is not trained, and write the page of what is."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curricula_compare", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), help="seeds (default 1 2 3 4 5)")
    parser.add_argument("--state", type=Path, default=STATE, help=f"the folder of all state (default {STATE})")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="trainings at once (default: cores)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no training after so many minutes")
    parser.add_argument("--against-verl", action="store_true", help="train one stage by verl and by the loop instead")
    parser.add_argument("--page-only", action="store_true", help="train nothing, write the page of what is finished")
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="where experiments.md is (default docs)")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    transformers_logging.disable_progress_bar()
    failed: list[Job] = []
    if not asked.page_only:
        asked.state.mkdir(parents=True, exist_ok=True)
        with locks.alone(asked.state):
            comparison = Comparison.open(asked.state)
            if asked.against_verl:
                curricula_verl.compare(asked.state, comparison.start)
            else:
                failed = work(comparison, asked.seeds, asked.workers, asked.minutes)
    verl = curricula_verl.load(asked.state)
    more = [curricula_verl.said(verl), ""] if verl else []
    curricula_page.write(list(State(asked.state).finished()), asked.docs, more)
    if failed:
        raise RunError(
            f"{len(failed)} trainings did not end well ({failed[0].name}); run the same command to try them again."
        )


if __name__ == "__main__":
    from capcurriculum.unforeseen import exit_with

    raise SystemExit(exit_with(main))
