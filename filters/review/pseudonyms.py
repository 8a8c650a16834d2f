"""Names of reviewers as the tables keep them: pseudonyms that only the holder of the run could work out again.

A plain hash of a name is found by trying names, so the hash is keyed with a secret that lies in the run folder,
readable by its owner alone, and is never published.
"""

import hmac
import os
import secrets
from hashlib import sha256

from capcurriculum.recipe_review import ReviewSection
from capcurriculum.run import Run

_SECRET = "review/.pseudonyms"  # noqa: S105 (the name of a file)


def named(run: Run, section: ReviewSection, name: str) -> str:
    """What the reviews table calls the person of this name."""
    if section.annotators == "names":
        return name
    return f"person-{hmac.new(_secret(run), name.encode(), sha256).hexdigest()[:8]}"


def _secret(run: Run) -> bytes:
    path = run.path / _SECRET
    if not path.is_file():
        path.parent.mkdir(exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32))
    return path.read_text(encoding="ascii").strip().encode()
