"""Near-duplicate pairs: candidates by MinHash and by perceptual hashes, each checked on its texts.

A node stands for all questions of equal text about the same image; nodes are numbered by rank, the best is 0.
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
#: The representative of a row that stays.
KEPT = -1

Ratios = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Found:
    """Near-duplicate nodes: indices of the better and the worse one, sorted, and the similarity of their texts."""

    better: Rows
    worse: Rows
    similarity: Ratios

    def of(self, better: Rows, worse: Rows, nodes: int) -> Ratios:
        """The similarity of pairs that are among these."""
        codes = self.better * nodes + self.worse
        return self.similarity[np.searchsorted(codes, better * nodes + worse)]


def checked(nodes: pl.DataFrame, alone_alike: float, shown_alike: float, distance: int | None) -> Found:
    """All near-duplicates among the nodes.

    Args:
        nodes: `asked`, `formula`, `right` (the text of the right answer), `image` ("" for none) and `phash`, by rank.
        alone_alike: minimum similarity of two texts without an image.
        shown_alike: minimum similarity of two texts about images.
        distance: maximum Hamming distance of two images' hashes; None compares images by id.
    """
    must = nodes.select(pl.struct("formula", "right").hash()).to_series().to_numpy()
    tie = nodes["asked"].rank("dense").cast(pl.Int64).to_numpy()
    shown = (nodes["image"] != "").to_numpy()
    hashed = nodes["phash"].is_not_null().to_numpy() & (distance is not None)
    alone = shared_keys.distinct(_alone(nodes["asked"], np.flatnonzero(~shown), must, tie), nodes.height)
    found = [_alike(nodes["asked"], iter([alone]), alone_alike)]
    for batches in (
        _about_one(nodes["image"], np.flatnonzero(shown & ~hashed), must, tie),
        _about_near(nodes["phash"], np.flatnonzero(hashed), must, distance or 0),
    ):
        found.append(_alike(nodes["asked"], batches, shown_alike))
    return _joined(found, nodes.height)


def _alone(texts: pl.Series, places: Rows, must: text_hashes.Hashes, tie: Rows) -> Iterator[Pairs]:
    """Candidates among problems without an image."""
    if len(places) < 2:
        return
    minima = [
        minhash.sketch(text_hashes.words(texts.gather(places[begin : begin + _BATCH])))
        for begin in range(0, len(places), _BATCH)
    ]
    for one, two in minhash.candidates(np.concatenate(minima), must[places], tie[places]):
        yield places[one], places[two]


def _about_one(image: pl.Series, places: Rows, must: text_hashes.Hashes, tie: Rows) -> Iterator[Pairs]:
    """Candidates among questions about one image."""
    scope = text_hashes.mixed(image.gather(places).hash().to_numpy() + must[places])
    for one, two in shared_keys.sharing(scope, tie[places], minhash.WINDOW):
        yield np.minimum(places[one], places[two]), np.maximum(places[one], places[two])


def _about_near(phash: pl.Series, places: Rows, must: text_hashes.Hashes, distance: int) -> Iterator[Pairs]:
    """Candidates among questions about images of near or equal hashes."""
    hashes = phash.gather(places).to_numpy()
    for one, two in hamming.near(hashes, hashes, distance, (must[places], must[places])):
        once = one < two
        yield places[one[once]], places[two[once]]


def _alike(texts: pl.Series, batches: Iterator[Pairs], least: float) -> Found:
    """The pairs whose texts have at least the similarity `least`."""
    from rapidfuzz import fuzz, process

    better, worse, similarity = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    for one, two in batches:
        for begin in range(0, len(one), _CHECKED):
            left, right = one[begin : begin + _CHECKED], two[begin : begin + _CHECKED]
            ratios = process.cpdist(
                texts.gather(left).to_list(), texts.gather(right).to_list(), scorer=fuzz.ratio, workers=-1
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
    """The greedy maximal independent set of a graph of near-duplicates, by rank.

    In a chain A - B - C with A the best, B gives way to A and C stays. So every row that goes is a near-duplicate of
    one that stays, and no two that stay are near-duplicates.

    Args:
        better: the row of smaller rank of each pair.
        worse: the other one.
        rows: the number of rows, numbered by rank, the best is 0.

    Returns:
        For every row its representative, or `KEPT`.
    """
    result = np.full(rows, KEPT, np.int64)
    order = np.argsort(-better, kind="stable")  # the last assignment is the best representative
    better, worse = better[order], worse[order]
    while len(better):
        waiting = np.zeros(rows, bool)
        waiting[worse] = True
        # A row without an undecided better neighbour stays, and its neighbours go.
        settled = ~waiting[better]
        result[worse[settled]] = better[settled]
        left = (result[better] == KEPT) & (result[worse] == KEPT)
        better, worse = better[left], worse[left]
    return result
