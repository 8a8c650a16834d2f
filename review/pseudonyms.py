"""Pseudonyms of reviewers: keyed hashes of their names.

The key is a secret in the run folder with mode 0600 that is never published; a plain hash could be reversed by trying
names.
"""

import hmac
import re
import secrets
from hashlib import sha256

from capcurriculum.errors import ReviewError
from capcurriculum.recipe.review import ReviewSection
from capcurriculum.run import Run
from capcurriculum.tables import write_atomically

_SECRET = "review/.pseudonyms"  # noqa: S105 (the name of a file)


def named(run: Run, section: ReviewSection, name: str) -> str:
    """The annotator's name in the table of reviews."""
    if section.annotators == "names":
        return name
    return f"person-{hmac.new(secret(run), name.encode(), sha256).hexdigest()[:8]}"


def secret(run: Run) -> bytes:
    """The run's secret of 64 hexadecimal digits, created on first use; the caller holds the run's lock for writing.

    Raises:
        ReviewError: the file is damaged.
    """
    path = run.path / _SECRET
    if not path.is_file():
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, secrets.token_hex(32).encode(), 0o600)
    found = path.read_bytes().strip()
    if not re.fullmatch(rb"[0-9a-f]{64}", found):
        raise ReviewError(f"{path} is damaged; remove it and export the pages again, which changes all pseudonyms.")
    return found
