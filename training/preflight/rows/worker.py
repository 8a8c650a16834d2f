"""A worker process: read a slice of a file's rows, look up or check each, and return numbers.

Image bytes do not leave the process. The processor, and with it torch, is loaded at the first row that is not in the
cache, so a second check of the same rows loads neither.
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
from training.preflight.rows.slices import Seen, Slice, rows
from training.supervise import processes


class Worker:
    """The processor and cache of one process; its public methods are those that `call` knows."""

    def __init__(self, settings: Settings, folder: Path | None) -> None:
        self.settings = settings
        self.cache = RowCache(settings.digest, folder)
        self._known = self.cache.load()

    @cached_property
    def lengths(self) -> Lengths:
        """The processor, loaded at first use."""
        return Lengths(self.settings)

    def disagreements(self) -> list[str]:
        """As `Lengths.disagreements`."""
        return self.lengths.disagreements()

    def seen(self, part: Slice, limit: int, fits: bool) -> tuple[Seen, str]:
        """(what a slice holds, why new results could not be cached or "").

        Args:
            part: the slice.
            limit: of a prompt, in tokens.
            fits: whether to find how small the images of overlong rows must be.
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
        def areas() -> Fit | None:
            shrinks = fits and result.image_tokens
            return fit(row, self.lengths, limit, upright=seen.part.upright) if shrinks else None

        extra = row["extra_info"] or {}
        question_id = str(extra.get("question_id") or extra.get("index") or "")
        seen.add(seen.part.first + offset, question_id, result, limit, areas)
        options = extra.get("options") or []
        gold = (row["reward_model"] or {}).get("ground_truth") or ""
        if options and gold in tuple(ascii_uppercase[: len(options)]):
            seen.letters[ascii_uppercase.index(gold), len(options)] += 1

    def captions(self, part: Slice, captions: Mapping[str, str], limit: int) -> Seen:
        """As `captioned.look`; results are not cached."""
        return captioned.look(part, captions, limit, self.lengths, exact=self.settings.exact)

    def exact(self, part: Slice) -> list[int]:
        """The tokens of each row of a slice, counted with the images' pixels."""
        return [check(row, self.lengths, upright=part.upright, exact=True).tokens for _, row in rows(part)]

    def shrunk(self, part: Slice, fits: dict[int, Fit], limit: int) -> dict[int, list[bytes]]:
        """Row -> its images made smaller, for rows of the slice; raises what `shrink.shrunk` raises."""
        return {
            part.first + offset: shrunk(row, fits[part.first + offset], self.lengths, limit, upright=part.upright)
            for offset, row in rows(part)
            if part.first + offset in fits
        }


_worker: Worker | None = None


def start(settings: Settings, folder: Path | None, parent: int) -> None:
    """Initialize a worker process, which ignores Ctrl-C and dies with its parent."""
    global _worker
    processes.die_with_parent()
    if os.getppid() != parent:  # the parent died before the call above
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    _worker = Worker(settings, folder)


def call(method: str, *arguments: Any) -> Any:
    """Call a method of this process's worker."""
    return getattr(_worker, method)(*arguments)
