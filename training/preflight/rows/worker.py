"""What a worker process does: read a slice of a file's rows, look up or check each, and return numbers.

Picture bytes are read here and go nowhere else. The processor (and with it torch) is loaded when a row is met that is
not in the cache, so a second run loads none.
"""

import os
import signal
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from training.preflight.rows import captioned
from training.preflight.rows.cache import RowCache, row_key
from training.preflight.rows.lengths import Lengths
from training.preflight.rows.row import RowResult, check
from training.preflight.rows.settings import Settings
from training.preflight.rows.shrink import Fit, fit, shrunk
from training.preflight.rows.slices import Overlong, Seen, Slice, rows
from training.supervise import processes


class Worker:
    """One process's processor and memory."""

    def __init__(self, settings: Settings, folder: Path | None) -> None:
        self.settings = settings
        self.cache = RowCache(settings.digest, folder)
        self._known = self.cache.load()

    @cached_property
    def lengths(self) -> Lengths:
        """Loaded once needed."""
        return Lengths(self.settings)

    def seen(self, part: Slice, limit: int, *, fits: bool) -> tuple[Seen, str]:
        """Look at a slice; `limit` in tokens, `fits` to also find how small overlong rows' pictures must be.

        The second value says why new results could not be remembered, "" if they could.
        """
        seen = Seen(part)
        new: list[tuple[bytes, RowResult]] = []
        for offset, row in rows(part):
            key = row_key(row, upright=part.upright)
            result = self._known.get(key)
            if result is None:
                result = check(row, self.lengths, upright=part.upright, exact=self.settings.exact)
                new.append((key, result))
            self._note(seen, offset, row, result, limit, fits)
        seen.checked = len(new)
        self._known.update(new)
        try:
            self.cache.add(new)
        except OSError as error:
            return seen, f"{self.cache.folder}: {error.strerror}"
        return seen, ""

    def _note(self, seen: Seen, offset: int, row: dict[str, Any], result: RowResult, limit: int, fits: bool) -> None:
        place, extra = seen.part.first + offset, row["extra_info"] or {}
        question_id = str(extra.get("question_id") or extra.get("index") or "")
        seen.tokens.append(result.tokens)
        seen.image_tokens.append(result.image_tokens)
        seen.faults += [(place, question_id, name, detail) for name, detail in result.faults]
        options = extra.get("options") or []
        gold = (row["reward_model"] or {}).get("ground_truth") or ""
        if options and gold in tuple(ascii_uppercase[: len(options)]):
            seen.letters[ascii_uppercase.index(gold), len(options)] += 1
        if result.tokens > limit:
            found = fit(row, self.lengths, limit, upright=seen.part.upright) if fits and result.image_tokens else None
            seen.overlong.append(
                Overlong(seen.part.number, place, question_id, result.tokens, result.image_tokens, found)
            )

    def captions(self, part: Slice, told: Mapping[str, str], limit: int) -> Seen:
        """Look at what a slice teaches by captions, question -> caption; nothing of it is remembered."""
        return captioned.look(part, told, limit, self.lengths, exact=self.settings.exact)

    def exact(self, part: Slice) -> list[tuple[int, int]]:
        """(tokens, image tokens) of each row of a slice, by the pixels."""
        results = (check(row, self.lengths, upright=part.upright, exact=True) for _, row in rows(part))
        return [(result.tokens, result.image_tokens) for result in results]

    def shrunk(self, part: Slice, fits: dict[int, Fit], limit: int) -> dict[int, list[bytes]]:
        """Row -> its pictures made smaller, for rows of the slice; raises what `shrink.shrunk` raises."""
        return {
            part.first + offset: shrunk(row, fits[part.first + offset], self.lengths, limit, upright=part.upright)
            for offset, row in rows(part)
            if part.first + offset in fits
        }


_worker: Worker | None = None


def start(settings: Settings, folder: Path | None, parent: int) -> None:
    """Begin a worker process that leaves Ctrl-C to its parent and dies with it."""
    global _worker
    processes.die_with_parent()
    if os.getppid() != parent:  # it died before we asked
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    _worker = Worker(settings, folder)


def call(method: str, *arguments: Any) -> Any:
    """Call a method of this process's worker."""
    assert _worker is not None
    if method == "disagreements":
        return _worker.lengths.disagreements()
    if method == "seen":
        part, limit, fits = arguments
        return _worker.seen(part, limit, fits=fits)
    return getattr(_worker, method)(*arguments)
