"""Rollouts of one prompt that stand next to each other are asked together, as one request with `n` completions.

The prompt, and above all its image, is then sent, decoded and prefilled once instead of `n` times. A greedy request is
never grouped: its completions would all be the same, and vLLM refuses `n` above 1 at temperature 0.
"""

from collections.abc import Iterable, Iterator
from operator import attrgetter

from capcurriculum.rows import Request

Group = tuple[Request, ...]
#: What requests of one `prompt_key` have in common, without the cost of a digest.
_PROMPT = attrgetter("model", "messages", "image_paths", "sampling", "schema")


def grouped(requests: Iterable[Request | None], max_n: int) -> Iterator[Group | None]:
    """Groups of at most `max_n` consecutive requests that differ only in their rollout.

    Consumed lazily: at most one request beyond the group is taken, and none where the group cannot grow. A None (see
    `Engine.stream`) closes the group that was growing, and is passed on only if none was: once a group was asked for
    and perhaps answered, there may be more to ask.
    """
    growing: list[Request] = []
    for request in requests:
        if request is None and not growing:
            yield None
        if growing and (request is None or _PROMPT(growing[0]) != _PROMPT(request)):
            yield tuple(growing)
            growing = []
        if request is None:
            continue
        growing.append(request)
        if len(growing) >= max_n or request.sampling.temperature == 0:
            yield tuple(growing)
            growing = []
    if growing:
        yield tuple(growing)
