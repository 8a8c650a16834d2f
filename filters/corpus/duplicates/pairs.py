"""Which questions are near-duplicates of each other: candidates by MinHash and by perceptual hashes, each checked.

A node stands for all questions that say the same about the same picture; nodes are numbered by rank, the best 0.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from filters.corpus import text_hashes
from filters.corpus.duplicates import hamming, minhash, shared_keys
from filters.corpus.duplicates.shared_keys import Pairs, Rows

_BATCH = 100_000
_CHECKED = 200_000
#: In place of the row that a row gives way to.
KEPT = -1

Ratios = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Found:
    """Near-duplicates among nodes: places of the better and the worse one, sorted, and how alike their texts are."""

    better: Rows
    worse: Rows
    similarity: Ratios

    def of(self, better: Rows, worse: Rows, nodes: int) -> Ratios:
        """The similarity of pairs that are all among these."""
        codes = self.better * nodes + self.worse
        return self.similarity[np.searchsorted(codes, better * nodes + worse)]


def checked(nodes: pl.DataFrame, alone_alike: float, shown_alike: float, distance: int | None) -> Found:
    """All near-duplicates among the nodes.

    Args:
        nodes: `said`, `formula`, `right` (the text of the right answer), `picture` ("" for none) and `phash`, by rank.
        alone_alike: least similarity of two texts without an image.
        shown_alike: least similarity of two texts about images.
        distance: most bits in which two images' hashes differ; None compares images by their ids alone.
    """
    must = nodes.select(pl.struct("formula", "right").hash()).to_series().to_numpy()
    tie = nodes["said"].rank("dense").cast(pl.Int64).to_numpy()
    shown = (nodes["picture"] != "").to_numpy()
    hashed = nodes["phash"].is_not_null().to_numpy() & (distance is not None)
    alone = shared_keys.distinct(_alone(nodes["said"], np.flatnonzero(~shown), must, tie), nodes.height)
    found = [_alike(nodes["said"], iter([alone]), alone_alike)]
    for batches in (
        _about_one(nodes["picture"], np.flatnonzero(shown & ~hashed), must, tie),
        _about_near(nodes["phash"], np.flatnonzero(hashed), must, distance or 0),
    ):
        found.append(_alike(nodes["said"], batches, shown_alike))
    return _joined(found, nodes.height)


def _alone(said: pl.Series, places: Rows, must: text_hashes.Hashes, tie: Rows) -> Iterator[Pairs]:
    """Candidates among problems without an image."""
    if len(places) < 2:
        return
    minima = [
        minhash.sketch(text_hashes.words(said.gather(places[begin : begin + _BATCH])))
        for begin in range(0, len(places), _BATCH)
    ]
    for one, two in minhash.candidates(np.concatenate(minima), must[places], tie[places]):
        yield places[one], places[two]


def _about_one(picture: pl.Series, places: Rows, must: text_hashes.Hashes, tie: Rows) -> Iterator[Pairs]:
    """Candidates among questions about one picture."""
    scope = text_hashes.mixed(picture.gather(places).hash().to_numpy() + must[places])
    for one, two in shared_keys.sharing(scope, tie[places], minhash.WINDOW):
        yield _ordered(places[one], places[two])


def _about_near(phash: pl.Series, places: Rows, must: text_hashes.Hashes, distance: int) -> Iterator[Pairs]:
    """Candidates among questions about pictures whose hashes are near or equal."""
    hashes = phash.gather(places).to_numpy()
    for one, two in hamming.near(hashes, hashes, distance, (must[places], must[places])):
        once = one < two
        yield places[one[once]], places[two[once]]


def _ordered(one: Rows, two: Rows) -> Pairs:
    return np.minimum(one, two), np.maximum(one, two)


def _alike(said: pl.Series, batches: Iterator[Pairs], least: float) -> Found:
    """Those of the pairs whose texts have at least the similarity `least`."""
    from rapidfuzz import fuzz, process

    better, worse, similarity = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    for one, two in batches:
        for begin in range(0, len(one), _CHECKED):
            left, right = one[begin : begin + _CHECKED], two[begin : begin + _CHECKED]
            ratios = process.cpdist(
                said.gather(left).to_list(), said.gather(right).to_list(), scorer=fuzz.ratio, workers=-1
            )
            kept = ratios >= 100 * least
            better.append(left[kept])
            worse.append(right[kept])
            similarity.append((ratios[kept] / 100).astype(np.float32))
    return Found(np.concatenate(better), np.concatenate(worse), np.concatenate(similarity))


def _joined(found: Sequence[Found], nodes: int) -> Found:
    better, worse = np.concatenate([f.better for f in found]), np.concatenate([f.worse for f in found])
    order = np.argsort(better * nodes + worse)
    return Found(better[order], worse[order], np.concatenate([f.similarity for f in found])[order])


def keepers(better: Rows, worse: Rows, rows: int) -> Rows:
    """Which rows of a graph of near-duplicates stay: the best first, and none beside one that stays.

    A chain A - B - C, where A and C are not alike, is not one group: if A is the best, B goes because of A, and C
    stays. So every row that goes is a near-duplicate of one that stays, and no two that stay are of each other.

    Args:
        better: the row of smaller number of each pair.
        worse: the other one.
        rows: how many there are, numbered by rank, the best 0.

    Returns:
        For every row the one it gives way to, or `KEPT`.
    """
    result = np.full(rows, KEPT, np.int64)
    order = np.argsort(-better, kind="stable")  # of several that a row could give way to, the last written is the best
    better, worse = better[order], worse[order]
    while len(better):
        waiting = np.zeros(rows, bool)
        waiting[worse] = True
        # Who has no better neighbour left undecided stays, and its neighbours go.
        settled = ~waiting[better]
        result[worse[settled]] = better[settled]
        left = (result[better] == KEPT) & (result[worse] == KEPT)
        better, worse = better[left], worse[left]
    return result
