"""What the clients raise becomes one sentence that tells what to do, and never a token."""

import pytest
from huggingface_hub.errors import HfHubHTTPError

from capcurriculum.errors import HubError
from hub.patience import Changed, Patience, Unreachable
from hub.trouble import HTTP_ERROR, scrubbed, trouble


def answered(status: int, headers: dict[str, str] | None = None) -> HfHubHTTPError:
    """The error of an answer, made with whichever HTTP library the client has."""
    import sys

    library = sys.modules[HTTP_ERROR.__module__.partition(".")[0]]
    request = library.Request("POST", "https://hub.example/x")
    return HfHubHTTPError("x", response=library.Response(status, request=request, headers=headers or {}))


@pytest.mark.parametrize(
    ("error", "sentence", "passing"),
    [
        (answered(401), "log in with `hf auth login`", False),
        (answered(403), "one with write access", False),
        (answered(403, {"x-error-message": "You exceeded your storage quota"}), "no room left", False),
        (answered(413), "no room left", False),
        (answered(404), "no such thing", False),
        (answered(429, {"retry-after": "7"}), "again in 7 s", True),
        (answered(429, {"ratelimit": '"api";r=0;t=55'}), "again in 55 s", True),
        (answered(412), "somebody else changes it", False),
        (answered(502), "the Hub fails (502)", True),
        (answered(418), "the Hub refuses it (418)", False),
        (ConnectionError("Request error: HTTP status server error (500 Internal)"), "the Hub fails (500)", True),
        (ConnectionError("HTTP status client error (403 Forbidden), domain: x"), "one with write access", False),
        (ConnectionResetError(), "cannot be reached (ConnectionResetError)", True),
        (OSError(28, "No space left on device", "/x"), "No space left on device (/x)", False),
        (KeyError("slug"), "it may not be the Hub's; check HF_ENDPOINT", False),
        (ValueError("bad\nmetadata"), "Cannot do it: bad metadata.", False),
    ],
)
def test_every_error_is_a_sentence(error: Exception, sentence: str, passing: bool) -> None:
    try:
        raise RuntimeError("Error while uploading") from error
    except RuntimeError as wrapped:
        for one in (error, wrapped):
            found = trouble(one, "do it")
            assert sentence in found.sentence
            assert found.passing == passing
            assert "\n" not in found.sentence


@pytest.mark.parametrize("text", ["hf_abcdef", "Bearer xyz", "sk-abcdefghijk", "ghp_abcdefghijkl"])
def test_no_token_is_in_a_sentence(text: str) -> None:
    assert text not in scrubbed(f"Authorization: {text}, please")
    assert text not in trouble(ValueError(f"failed with {text}"), "do it").sentence


def test_what_passes_is_tried_again_and_what_does_not_ends_at_once() -> None:
    waits: list[float] = []
    patience = Patience(tries=4, first=1, longest=3, max_retry_after=100, sleep=waits.append)
    errors = [answered(500), answered(503), answered(429, {"retry-after": "50"})]

    def work() -> str:
        if errors:
            raise errors.pop(0)
        return "done"

    assert patience.persist("do it", work) == "done"
    assert waits == [1, 2, 51]
    for error, kind in (
        (answered(403), HubError),
        (answered(412), Changed),
        (answered(429, {"retry-after": "999"}), HubError),
    ):
        errors[:] = [error]
        with pytest.raises(kind):
            patience.persist("do it", work)
    assert waits == [1, 2, 51]
    errors[:] = [ConnectionError() for _ in range(4)]
    with pytest.raises(Unreachable):
        patience.persist("do it", work)
    assert waits[3:] == [1, 2, 3]


def test_a_mistake_of_ours_is_no_trouble_of_the_hubs() -> None:
    def work() -> None:
        raise AttributeError("typo")

    with pytest.raises(AttributeError):
        Patience().persist("do it", work)
