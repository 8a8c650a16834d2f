"""When somebody answered, by the server's clock."""

from capcurriculum.errors import ReviewError
from review.page import signing
from review.page.read import at


def utc(text: object) -> str:
    """The time of a response as the table keeps it.

    Raises:
        ReviewError: it is none, or is still to come: such an answer would count before all that follow.
    """
    try:
        said_at = at(str(text))
    except ValueError as error:
        said = str(text)[:40]
        raise ReviewError(f"Argilla says {said!r} for the time of a response; is it the right server?") from error
    if signing.future(said_at):
        raise ReviewError(f"A response on Argilla is of {said_at}, which is to come; set its clock or this one.")
    return said_at
