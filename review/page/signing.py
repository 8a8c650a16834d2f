"""Authentication of offline answers: a page is made for one annotator and signs every line that it saves.

The page's key is derived (HMAC-SHA256, RFC 2104) from a secret of the run, the page's id and the annotator's name, so
the page can sign for that annotator alone. A signature is the HMAC of a line's values as a JSON array, which JavaScript
and Python serialize identically.
"""

import hmac
import json
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from capcurriculum.errors import ReviewError
from capcurriculum.run import Run
from review import pseudonyms

#: Tolerated clock skew.
_AHEAD = timedelta(minutes=10)
MAX_NAME = 200


def person(name: str) -> str:
    """An annotator's name, stripped and in Unicode NFC.

    Raises:
        ReviewError: it is empty, too long, or not printable.
    """
    plain = unicodedata.normalize("NFC", name.strip())
    if not plain or len(plain) > MAX_NAME or not plain.isprintable():
        raise ReviewError(f"{name[:60]!r} is no name of a person; give --annotator one of 1 to {MAX_NAME} letters.")
    return plain


@dataclass(frozen=True, slots=True)
class Claim:
    """The page and annotator that a line names, its signed values, and its signature."""

    page: str
    name: str
    values: Sequence[str | int]
    signature: str


def key(run: Run, page: str, name: str) -> str:
    """The key of an annotator's page, 64 hexadecimal digits."""
    return _key(_secret(run), page, name)


def signature(key: str, values: Sequence[str | int]) -> str:
    """The signature of a line's values, 64 hexadecimal digits."""
    return hmac.new(bytes.fromhex(key), _joined(values), sha256).hexdigest()


def genuine(run: Run, claims: Sequence[Claim]) -> list[bool]:
    """For each line whether a page of this run signed it for the annotator it names."""
    secret = _secret(run) if claims else b""
    return [
        hmac.compare_digest(signature(_key(secret, one.page, one.name), one.values).encode(), one.signature.encode())
        for one in claims
    ]


def _secret(run: Run) -> bytes:
    # Derived, since pseudonyms reveal parts of HMACs with the secret itself.
    return hmac.new(pseudonyms.secret(run), b"pages that sign", sha256).digest()


def _key(secret: bytes, page: str, name: str) -> str:
    return hmac.new(secret, _joined([page, name]), sha256).hexdigest()


def _joined(values: Sequence[str | int]) -> bytes:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def check(path: Path, named: Collection[str], signed: Collection[str], unsigned: int, annotator: str) -> None:
    """Check that a file has one annotator, given the names in its lines and those in its signed lines.

    Raises:
        ReviewError: it names several, was signed by another one than `annotator`, or is neither signed nor attributed.
    """
    if len(named) > 1:
        raise ReviewError(
            f"{path} holds answers of {len(named)} people, and one file is one person's; import the file that each of "
            "their pages saved."
        )
    if annotator and signed and annotator not in signed:
        raise ReviewError(f"{path} is signed by {min(signed)!r}, not by {annotator!r}; leave --annotator out.")
    if unsigned and not signed and not annotator:
        raise ReviewError(
            f"{path} is not signed by a page of this run: it comes from elsewhere, was changed, or is an older page's; "
            "if you know whose answers it holds, give their name with --annotator."
        )


def future(said_at: str) -> bool:
    """Whether a time in the form of `page.read.at` is more than ten minutes in the future."""
    return datetime.fromisoformat(said_at) > datetime.now(UTC) + _AHEAD
