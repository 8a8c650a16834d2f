"""What a model cannot be trusted with: sentences that its own training and measurements make true."""

from collections.abc import Iterator, Sequence

from capcurriculum.render.markdown import Md, code, listed
from cards.licences import UNKNOWN, Licence
from cards.model.base import Base
from cards.model.heldout import gains
from cards.model.training import Training
from evaluation.results.comparisons import Pair
from evaluation.results.results import HeldOut


def limits(
    start: Base | None, chain: Training, held: Sequence[HeldOut], pairs: Sequence[Pair], found: Sequence[Licence]
) -> list[Md]:
    """The sentences, what matters most first; `pairs` are comparisons of this model with others."""
    measured = (*_measured(chain, held), *_compared(pairs))
    return [*_scope(start), *_training(chain), *measured, *_licences(found), *_safety()]


def _scope(start: Base | None) -> Iterator[Md]:
    if start and start.micro:
        yield Md(
            "It is one of the micro models: a few million parameters that know scenes of a few coloured shapes. It "
            "shows that the road works and can do nothing else."
        )


def _training(chain: Training) -> Iterator[Md]:
    if chain.stages:
        yield Md("It is one training with one seed; how much another would differ was not measured.")
        yield Md(
            "The reward knows whether an answer is right and in its format, and nothing of the thoughts before it."
        )
    if any(one.rows < one.batch_size * 10 for one in chain.stages):
        yield Md("It saw few rows; changes of this size may be noise.")


def _measured(chain: Training, held: Sequence[HeldOut]) -> Iterator[Md]:
    last = f"after {chain.stages[-1].stage}" if chain.stages else ""
    gained = gains(held)
    same = [stage for (model, stage), found in gained.items() if model == last and found.low <= 0 <= found.high]
    worse = [stage for (model, stage), found in gained.items() if model == last and found.high < 0]
    if same:
        yield Md(
            f"On held-out rows of {listed(map(code, same))} the interval of its gain over the model that it was "
            "trained from holds zero, so no change is shown."
        )
    if worse:
        yield Md(f"On held-out rows of {listed(map(code, worse))} it is worse than the model it was trained from.")


def _compared(pairs: Sequence[Pair]) -> Iterator[Md]:
    """Benchmarks on which it loses more than chance explains, at 5 % over the benchmarks of a pair."""
    for pair in pairs:
        if worse := [line.benchmark for line in pair.lines if line.gain.value < 0 and line.p_holm < 0.05]:
            yield Md(f"On {listed(map(code, worse))} it is worse than {code(pair.before)}, sample by sample.")


def _licences(found: Sequence[Licence]) -> Iterator[Md]:
    if unknown := sum(one.rows for one in found if one.hub == UNKNOWN):
        yield Md(f"It was trained on {unknown:,} rows whose licence is unknown.")
    if len(found) > 1:
        yield Md(
            "Its rows came under several licences (below); whether they bind a model trained on them, you must judge."
        )


def _safety() -> Iterator[Md]:
    yield Md("Nothing was done for its safety beyond what the model it was trained from brings along.")
