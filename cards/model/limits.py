"""Limitations of a model, as sentences derived from its training and results."""

from collections.abc import Iterator, Sequence

from capcurriculum.render.markdown import Md, code, listed
from cards.licences import UNKNOWN, Licence
from cards.model.base import Base
from cards.model.scores import gains
from cards.model.training import Training
from evaluation.results.comparisons import Pair
from evaluation.results.results import HeldOut


def limits(
    start: Base | None, chain: Training, held: Sequence[HeldOut], pairs: Sequence[Pair], found: Sequence[Licence]
) -> list[Md]:
    """The sentences, most important first; `pairs` are comparisons of this model with others."""
    return [*_training(start, chain), *_held_out(chain, held), *_compared(pairs), *_licences(found)]


def _training(start: Base | None, chain: Training) -> Iterator[Md]:
    if start and start.micro:
        yield Md(
            "It is one of the micro models: a few million parameters, trained on scenes of a few coloured shapes. It "
            "tests the pipeline and is of no other use."
        )
    if chain.stages:
        yield Md("It is one training with one seed; the variance between seeds was not measured.")
        yield Md("The reward scores the correctness and the format of the answer, not the reasoning before it.")
    if any(one.rows < one.batch_size * 10 for one in chain.stages):
        yield Md("It was trained on few rows; changes of this size may be noise.")


def _held_out(chain: Training, held: Sequence[HeldOut]) -> Iterator[Md]:
    last = f"after {chain.stages[-1].stage}" if chain.stages else ""
    gained = {stage: found for (model, stage), found in gains(held).items() if model == last}
    if few := [Md(f"{code(stage)} ({found.rows:,})") for stage, found in gained.items() if found.too_few]:
        yield Md(f"There are too few held-out rows to tell a gain from a loss: {listed(few)}.")
    if same := [stage for stage, found in gained.items() if found.low <= 0 <= found.high and not found.too_few]:
        yield Md(
            f"On held-out rows of {listed(map(code, same))} the interval of its gain over the model that it was "
            "trained from holds zero, so no change is shown."
        )
    if worse := [stage for stage, found in gained.items() if found.high < 0]:
        yield Md(f"On held-out rows of {listed(map(code, worse))} it is worse than the model it was trained from.")


def _compared(pairs: Sequence[Pair]) -> Iterator[Md]:
    """Benchmarks with a significant loss (Holm-adjusted p below 0.05)."""
    for pair in pairs:
        if worse := [line.benchmark for line in pair.lines if line.gain.value < 0 and line.p_holm < 0.05]:
            yield Md(f"On {listed(map(code, worse))} it is worse than {code(pair.before)}, sample by sample.")


def _licences(found: Sequence[Licence]) -> Iterator[Md]:
    if unknown := sum(one.rows for one in found if one.hub == UNKNOWN):
        yield Md(f"It was trained on {unknown:,} rows whose licence is unknown.")
    if len(found) > 1:
        yield Md(
            "Its training rows are under several licences (below); whether they bind the model is for you to judge."
        )
    yield Md("No safety training was added to that of the base model.")
