"""Check every row of a set, counting tokens by the processor's arithmetic if that is verified, else from pixels.

The arithmetic is compared with the pixels once per digest of settings: on blank images of awkward sizes, and on rows of
the set from the shortest to the longest. After one difference every image goes through the processor.
"""

import dataclasses
from collections.abc import Callable, Sequence
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from capcurriculum.render.progress import Display
from training.preflight.findings import Findings
from training.preflight.rows.cache import RowCache
from training.preflight.rows.pool import Pool, Pools
from training.preflight.rows.settings import Settings
from training.preflight.rows.slices import Seen, Slice

#: Rows of a set on which arithmetic and pixels are compared.
SAMPLE = 8


@dataclasses.dataclass(frozen=True, slots=True)
class Measuring:
    """A set and how to check it; `limit` is in tokens, `fits` is whether to find areas at which overlong rows fit."""

    stage: str
    parts: Sequence[Slice]
    limit: int
    fits: bool
    pools: Pools
    display: Display
    findings: Findings


def measure(how: Measuring, settings: Settings) -> tuple[Settings, list[Seen]]:
    """(the settings, exact if the arithmetic is wrong; what every slice holds, in the order of files and rows).

    Raises:
        TrainerError: the checkpoint has no processor, or a worker died.
    """
    pool = how.pools.of(settings)
    seen = _rows(how, pool)
    cache = RowCache(settings.digest, how.pools.cache)
    _remember(how, cache, cache.compact)
    if settings.exact or cache.agreed or not any(any(one.image_tokens) for one in seen):
        return settings, seen
    differences = [*pool.one("disagreements"), *_differences(pool, seen)]
    if not differences:
        _remember(how, cache, cache.note_agreement)
        return settings, seen
    text = "the processor's arithmetic and its pixels disagree, so every picture is processed, which is slow"
    for difference in differences:
        how.findings.warn("arithmetic", text, how.stage, difference)
    exact = dataclasses.replace(settings, exact=True)
    return exact, _rows(how, how.pools.of(exact))


def tokens_of(seen: Sequence[Seen]) -> npt.NDArray[np.int32]:
    """Tokens of every row in order, 0 if they were not counted."""
    return _joined([one.tokens for one in seen])


def image_tokens_of(seen: Sequence[Seen]) -> npt.NDArray[np.int32]:
    """Image tokens of every row in order."""
    return _joined([one.image_tokens for one in seen])


def _joined(parts: Sequence[Sequence[int]]) -> npt.NDArray[np.int32]:
    return np.concatenate([np.zeros(0, np.int32), *(np.asarray(part, np.int32) for part in parts)])


def _rows(how: Measuring, pool: Pool) -> list[Seen]:
    seen: list[Seen] = []
    total = sum(part.stop - part.start for part in how.parts)
    with how.display.step(f"preflight {how.stage}", total) as advance:
        for one, forgotten in pool.each("seen", ((part, how.limit, how.fits) for part in how.parts), total):
            seen.append(one)
            advance(len(one.tokens))
            if forgotten:
                _forgotten(how, forgotten)
    return sorted(seen, key=lambda one: (one.part.number, one.part.first + one.part.start))


def _remember(how: Measuring, cache: RowCache, write: Callable[[], None]) -> None:
    try:
        write()
    except OSError as error:
        _forgotten(how, f"{cache.folder}: {error.strerror}")


def _forgotten(how: Measuring, why: str) -> None:
    how.findings.warn("cache", f"results cannot be remembered for the next time ({why})")


def _differences(pool: Pool, seen: Sequence[Seen]) -> list[str]:
    """Rows with images, sampled by length, whose length from pixels differs."""
    tokens = tokens_of(seen)
    pictured = np.flatnonzero((tokens > 0) & (image_tokens_of(seen) > 0))
    ranked = pictured[np.argsort(tokens[pictured], kind="stable")]
    chosen = ranked[np.unique(np.linspace(0, len(ranked) - 1, SAMPLE).round().astype(int))] if len(ranked) else ranked
    ends = np.array(list(accumulate(len(one.tokens) for one in seen)))
    single = []
    for place in chosen:
        number = int(np.searchsorted(ends, place, side="right"))
        part = seen[number].part
        start = part.start + int(place) - (int(ends[number]) - len(seen[number].tokens))
        single.append(dataclasses.replace(part, start=start, stop=start + 1))
    exact = pool.ordered("exact", [(part,) for part in single])
    return [
        f"{part.path.name}, row {part.first + part.start}: {tokens[place]} and {found}"
        for place, part, (found,) in zip(chosen, single, exact, strict=True)
        if tokens[place] != found
    ]
