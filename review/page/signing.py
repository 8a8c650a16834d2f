"""Whose answers a file holds: a page is made for one named person and signs what it saves.

The key of a page is derived (HMAC-SHA256, RFC 2104) from a secret of the run, the page and the person's name; the page
holds it, so whoever has the page can answer in that person's name and in nobody else's. A signature is the HMAC of a
line's values as one JSON array, which JavaScript and Python write alike.
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

#: How far another machine's clock may be ahead of this one.
_AHEAD = timedelta(minutes=10)
MAX_NAME = 200


def person(name: str) -> str:
    """A person's name as the command line gives it, in one spelling.

    Raises:
        ReviewError: it is empty, too long, or holds what cannot be seen.
    """
    plain = unicodedata.normalize("NFC", name.strip())
    if not plain or len(plain) > MAX_NAME or not plain.isprintable():
        raise ReviewError(f"{name[:60]!r} is no name of a person; give --annotator one of 1 to {MAX_NAME} letters.")
    return plain


@dataclass(frozen=True, slots=True)
class Claim:
    """A line of a file: the page and the person that it names, all its values as a page signs them, the signature."""

    page: str
    name: str
    values: Sequence[str | int]
    signature: str


def key(run: Run, page: str, name: str) -> str:
    """The key of a person's page, 64 hexadecimal digits."""
    return _key(_own(run), page, name)


def signature(key: str, values: Sequence[str | int]) -> str:
    """The signature of a line's values, 64 hexadecimal digits."""
    return hmac.new(bytes.fromhex(key), _joined(values), sha256).hexdigest()


def genuine(run: Run, claims: Sequence[Claim]) -> list[bool]:
    """Of each line whether a page of this run signed it for the person it names."""
    own = _own(run) if claims else b""
    return [
        hmac.compare_digest(signature(_key(own, one.page, one.name), one.values).encode(), one.signature.encode())
        for one in claims
    ]


def _own(run: Run) -> bytes:
    # Not the secret itself: pseudonyms show a part of what it makes of any name.
    return hmac.new(pseudonyms.secret(run), b"pages that sign", sha256).digest()


def _key(own: bytes, page: str, name: str) -> str:
    return hmac.new(own, _joined([page, name]), sha256).hexdigest()


def _joined(values: Sequence[str | int]) -> bytes:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def check(path: Path, named: Collection[str], signed: Collection[str], unsigned: int, annotator: str) -> None:
    """Whether a file is one person's: `named` by all its lines, `signed` by those that a page of the run signed.

    Raises:
        ReviewError: it is of several people, of another one than `annotator`, or of nobody that is known.
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
    """Whether a time as the table keeps it (`page.read.at`) is still to come."""
    return datetime.fromisoformat(said_at) > datetime.now(UTC) + _AHEAD
