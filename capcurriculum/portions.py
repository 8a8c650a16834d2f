"""Tables read in portions: polars keeps much of what it streams, so a pass over a whole one is not flat in memory."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from capcurriculum.files import checksums

#: Rows of a portion of each table: about 50 MB of text, or of ids.
QUESTIONS, ANSWERS, VERDICTS = 100_000, 1_600_000, 1_000_000


def portions(shards: Sequence[Path], rows: int) -> Iterator[list[Path]]:
    """The shards in portions of about so many rows, each looked at; raises what `checksums.check` raises."""
    portion, size = list[Path](), 0
    for shard in shards:
        portion.append(shard)
        size += checksums.rows(shard)
        if size >= rows:
            checksums.check(portion)
            yield portion
            portion, size = [], 0
    if portion:
        checksums.check(portion)
        yield portion
