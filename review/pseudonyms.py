"""Names of reviewers as the tables keep them: pseudonyms that only the holder of the run could work out again.

A plain hash of a name is found by trying names, so the hash is keyed with a secret that lies in the run folder,
readable by its owner alone, and is never published.
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
    """What the reviews table calls the person of this name."""
    if section.annotators == "names":
        return name
    return f"person-{hmac.new(secret(run), name.encode(), sha256).hexdigest()[:8]}"


def secret(run: Run) -> bytes:
    """The run's secret, made when it is first needed; the caller holds the run for writing.

    Raises:
        ReviewError: it is damaged. A short one would be no secret.
    """
    path = run.path / _SECRET
    if not path.is_file():
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, secrets.token_hex(32).encode(), 0o600)
    told = path.read_bytes().strip()
    if not re.fullmatch(rb"[0-9a-f]{64}", told):
        raise ReviewError(
            f"{path} is damaged; remove it, export the pages anew, and know that everybody gets a new pseudonym."
        )
    return told
