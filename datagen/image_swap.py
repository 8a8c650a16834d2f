"""For the swapped arm: to every image another one, drawn from the images' own ids."""

from collections.abc import Iterable

from capcurriculum.rows import SCHEMA, digest


def partners(image_ids: Iterable[str], seed: int) -> dict[str, str]:
    """Image id -> the id of another image; empty when there is only one.

    The ids are put into an order drawn from their content and `seed`, and each is followed by the next, so every image
    is somebody's partner exactly once.
    """
    ids = sorted(set(image_ids), key=lambda image: (digest(SCHEMA, "swap", seed, image), image))
    return dict(zip(ids, ids[1:] + ids[:1], strict=True)) if len(ids) > 1 else {}
