"""How much there is to see on a picture: what its colours span, odd pixels left out.

A line drawing is a few dark pixels on white, so no share of the pixels may be cut off: only so few that they are dust,
a dead pixel of a sensor, or what a lossy format makes of one.
"""

from itertools import accumulate

from PIL import Image

#: As many of the darkest and of the lightest pixels do not count, and fewer where there are fewer than 4096.
_ODD = 16
_OF_PIXELS = 256
_LEVELS = 256


def contrast(picture: Image.Image) -> int:
    """Levels of 255 between the darkest and the lightest that count, of the channel where they are most; mode RGB."""
    odd = min(_ODD, picture.width * picture.height // _OF_PIXELS)
    counts = picture.histogram()
    channels = [counts[start : start + _LEVELS] for start in range(0, len(counts), _LEVELS)]
    return max(_LEVELS - 1 - _cut(channel, odd) - _cut(channel[::-1], odd) for channel in channels)


def _cut(counts: list[int], odd: int) -> int:
    """Levels from this end that no more than `odd` pixels have."""
    return sum(total <= odd for total in accumulate(counts))
