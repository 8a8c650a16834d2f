"""A share of a run's rows for one of several processes, told by content, so that they agree without speaking."""

import re
from dataclasses import dataclass

from capcurriculum.errors import RunError
from capcurriculum.rows import SCHEMA, digest


@dataclass(frozen=True, slots=True)
class Share:
    """Share `number` (from 0) of `of`."""

    number: int
    of: int

    @staticmethod
    def parse(text: str) -> "Share":
        """Read `i/n` as `--shard` takes it.

        Raises:
            RunError: it is not of that form, or i is not one of 0 to n-1.
        """
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
        if not found or not int(found[1]) < int(found[2]):
            raise RunError(f"A shard is i/n with i from 0 to n-1, for example 0/8 to 7/8; {text!r} is not.")
        return Share(int(found[1]), int(found[2]))

    def holds(self, unit: str) -> bool:
        """Whether what is about `unit` (an image, or a problem without one) belongs to this share."""
        return int(digest(SCHEMA, "share", unit), 16) % self.of == self.number

    def __str__(self) -> str:
        return f"{self.number}-of-{self.of}"
