"""Where rows come from: every reader yields rows and verdicts one source line at a time, never the whole set."""

from datagen.sources.docci import read_docci
from datagen.sources.problems import read_problems

__all__ = ["read_docci", "read_problems"]
