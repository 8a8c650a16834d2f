"""Which questions are near-duplicates of each other: candidates by MinHash and by perceptual hashes, each checked.

A node stands for all questions that say the same about the same picture; nodes are numbered by rank, the best 0.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from capcurriculum.recipe_corpus_filters import DuplicatesSection
from filters import hamming, minhash, pairs, words
from filters.pairs import Pairs, Rows

_BATCH = 100_000
_CHECKED = 200_000

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


def checked(nodes: pl.DataFrame, section: DuplicatesSection) -> Found:
    """All near-duplicates among the nodes."""
    must = nodes.select(pl.struct("formula", "right").hash()).to_series().to_numpy()
    tie = nodes["said"].rank("dense").cast(pl.Int64).to_numpy()
    shown = (nodes["image_id"] != "").to_numpy()
    texts = pairs.distinct(_alone(nodes, ~shown, must, tie), nodes.height)
    pictures = pairs.distinct(_about_images(nodes, shown, must, tie, section.image_distance), nodes.height)
    return _joined(
        _alike(nodes["said"], *texts, section.text_similarity),
        _alike(nodes["said"], *pictures, section.image_text_similarity),
        nodes.height,
    )


def _alone(nodes: pl.DataFrame, wanted: npt.NDArray[np.bool_], must: words.Hashes, tie: Rows) -> Iterator[Pairs]:
    """Candidates among problems without an image."""
    places = np.flatnonzero(wanted)
    if len(places) < 2:
        return
    minima = [
        minhash.sketch(words.words(nodes["said"].gather(places[begin : begin + _BATCH])))
        for begin in range(0, len(places), _BATCH)
    ]
    for one, two in minhash.candidates(np.concatenate(minima), must[places], tie[places]):
        yield places[one], places[two]


def _about_images(
    nodes: pl.DataFrame, wanted: npt.NDArray[np.bool_], must: words.Hashes, tie: Rows, distance: int | None
) -> Iterator[Pairs]:
    """Candidates among questions about one picture, or about two whose hashes are near."""
    places = np.flatnonzero(wanted)
    if len(places) < 2:
        return
    scope = words.mixed(nodes["picture"].gather(places).hash().to_numpy() + must[places])
    for one, two in pairs.sharing(scope, tie[places], minhash.WINDOW):
        yield places[one], places[two]
    if distance is not None:
        yield from _near_pictures(nodes.with_columns(must=must).filter(pl.col("phash").is_not_null()), distance)


def _near_pictures(nodes: pl.DataFrame, distance: int) -> Iterator[Pairs]:
    pictures = np.sort(nodes["phash"].unique().to_numpy())
    found = ((one[one < two], two[one < two]) for one, two in hamming.near(pictures, pictures, distance))
    left, right = pairs.distinct(found, len(pictures))
    near = pl.DataFrame({"phash": pictures[left], "other": pictures[right]})
    about = nodes.select("phash", "must", pl.col("node").cast(pl.Int64))
    both = near.lazy().join(about.lazy(), on="phash")
    both = both.join(about.lazy(), left_on=["other", "must"], right_on=["phash", "must"], suffix="_other")
    for part in both.select("node", "node_other").collect_batches(chunk_size=_CHECKED):
        yield part["node"].to_numpy(), part["node_other"].to_numpy()


def _alike(said: pl.Series, one: Rows, two: Rows, least: float) -> Found:
    """Those of the pairs whose texts are at least so alike."""
    from rapidfuzz import fuzz, process

    kept: list[npt.NDArray[np.bool_]] = [np.empty(0, bool)]
    ratios: list[Ratios] = [np.empty(0, np.float32)]
    for begin in range(0, len(one), _CHECKED):
        left = said.gather(one[begin : begin + _CHECKED]).to_list()
        right = said.gather(two[begin : begin + _CHECKED]).to_list()
        ratio = (process.cpdist(left, right, scorer=fuzz.ratio, workers=-1) / 100).astype(np.float32)
        kept.append(ratio >= least)
        ratios.append(ratio[kept[-1]])
    keep = np.concatenate(kept)
    return Found(one[keep], two[keep], np.concatenate(ratios))


def _joined(one: Found, two: Found, nodes: int) -> Found:
    better, worse = np.concatenate([one.better, two.better]), np.concatenate([one.worse, two.worse])
    order = np.argsort(better * nodes + worse)
    return Found(better[order], worse[order], np.concatenate([one.similarity, two.similarity])[order])
