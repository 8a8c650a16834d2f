"""Images inside a row's text: `data:` addresses and plain base64."""

import base64
import binascii
from urllib.parse import unquote_to_bytes

from capcurriculum.reasons import Reason
from datagen.image_decoding import ImageProblem
from datagen.sources.images.store import ending

#: Characters that decode to the first bytes of a file, which tell its format.
_HEAD = 16
_SHORTEST = 64
_BLANKS = str.maketrans("", "", " \t\r\n")


def is_embedded(text: str) -> bool:
    """Whether a text is an image, and no file's name."""
    return text[:5].lower() == "data:" or _is_base64(text)


def _is_base64(text: str) -> bool:
    head = text[: 2 * _HEAD].translate(_BLANKS)[:_HEAD]
    if len(text) < _SHORTEST:
        return False
    try:
        return bool(ending(_decoded(head)))
    except (binascii.Error, ValueError):
        return False


def data(text: str, max_bytes: int) -> bytes:
    """The bytes of an embedded image.

    Raises:
        ImageProblem: more than `max_bytes`, or no whole base64.
    """
    is_address = text[:5].lower() == "data:"
    header, _, body = text.partition(",") if is_address else (";base64", "", text)
    if len(body) * 3 // 4 > max_bytes + 3:
        raise ImageProblem(Reason.IMAGE_TOO_LARGE, f"{len(body) * 3 // 4} bytes, more than {max_bytes}")
    if not header.lower().rstrip().endswith(";base64"):
        return unquote_to_bytes(body)
    try:
        return _decoded(unquote_to_bytes(body).decode("ascii") if is_address and "%" in body else body)
    except (binascii.Error, ValueError) as error:
        raise ImageProblem(Reason.UNREADABLE_IMAGE, f"its base64 is damaged ({error})") from error


def _decoded(text: str) -> bytes:
    plain = text.translate(_BLANKS).replace("-", "+").replace("_", "/").rstrip("=")
    return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
