"""The one adapter to Argilla's client (SDK 2.8): who we are, workspaces, users, datasets, and requests asked patiently.

A server that answers 5xx or 429, or nothing at all, is asked again for a bounded time; what still fails then, and what
a user can mend, becomes one sentence. Argilla's import costs more than a second, so it happens inside functions only.
"""

import logging
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from capcurriculum.errors import ReviewError
from review.argilla import layout

URL, KEY = "ARGILLA_API_URL", "ARGILLA_API_KEY"
#: How long a server may go on failing before it is given up.
PATIENCE_SECONDS = 90.0
_TIMEOUT_SECONDS = 60
_LONGEST_WAIT = 10.0
_BUSY = frozenset({408, 425, 429})

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset on the server: its id, the ids of its questions by name, how many responses a record needs."""

    id: str
    name: str
    questions: Mapping[str, str]
    overlap: int


@dataclass(frozen=True, slots=True)
class Account:
    """A person made on the server, with the password that is told once."""

    username: str
    password: str


class Connection:
    """A server that has answered, and the key's owner on it."""

    def __init__(self, client: Any, patience: float) -> None:
        self._client, self._patience = client, patience

    @property
    def url(self) -> str:
        """Where the server is."""
        return str(self._client.api_url)

    def call(self, method: str, path: str, **words: Any) -> Any:
        """The JSON that the server gives to one request; safe to send twice is what its caller sends.

        Raises:
            ReviewError: the server refuses, or goes on failing.
        """

        def ask() -> Any:
            response = self._client.http_client.request(method, f"/api/v1/{path}", **words)
            response.raise_for_status()
            return response.json() if response.content else None

        return self._patiently(ask)

    def _patiently(self, ask: Callable[[], Result]) -> Result:
        with _sentences(self.url):
            found: Result = _retrying(self._patience)(ask)
            return found

    def users(self) -> dict[str, str] | None:
        """User id -> username of everybody on the server; None where the key's owner may not list them."""
        if str(getattr(self._client.me.role, "value", self._client.me.role)) != "owner":
            return None
        return {str(user["id"]): str(user["username"]) for user in self.call("GET", "users")["items"]}

    def ensure_workspace(self, name: str, create: bool) -> None:
        """Have a workspace of this name.

        Raises:
            ReviewError: there is none and none was asked for, or the key may not make one.
        """
        if self._workspace(name):
            return
        if not create:
            there = ", ".join(sorted(one["name"] for one in self.call("GET", "me/workspaces")["items"])) or "none"
            raise ReviewError(
                f"Argilla has no workspace {name} that this key may use (it may use {there}); add --create-workspace, "
                "or name another one in the recipe's review.workspace."
            )
        self.call("POST", "workspaces", json={"name": name})

    def _workspace(self, name: str) -> str | None:
        found = self.call("GET", "me/workspaces")["items"]
        return next((str(one["id"]) for one in found if one["name"] == name), None)

    def ensure_annotators(self, workspace: str, names: Sequence[str]) -> Iterator[Account]:
        """Have people of these names in the workspace; yields those that were made."""
        if not names:
            return
        known, there = self.users(), self._workspace(workspace)
        if known is None or there is None:
            raise ReviewError("Only an owner's key may make annotators; ask the owner of the server for one.")
        ids = {username: key for key, username in known.items()}
        members = {one["username"] for one in self.call("GET", f"workspaces/{there}/users")["items"]}
        for name in names:
            if name not in ids:
                password = secrets.token_urlsafe(12)
                words = {"username": name, "first_name": name, "password": password, "role": "annotator"}
                ids[name] = str(self.call("POST", "users", json=words)["id"])
                yield Account(name, password)
            if name not in members:
                self.call("POST", f"workspaces/{there}/users", json={"user_id": ids[name]})

    def find(self, workspace: str, name: str, asks: str = layout.RIGHT) -> Dataset | None:
        """The published dataset of this name, which asks a question of that name; a half-made one is removed.

        Raises:
            ReviewError: a dataset of this name was made by somebody else, or the server cannot be used.
        """
        there = self._workspace(workspace)
        for one in self.call("GET", "me/datasets")["items"]:
            if one["name"] == name and str(one["workspace_id"]) == there:
                if one["status"] != "ready":
                    self.call("DELETE", f"datasets/{one['id']}")
                    return None
                return self._described(one, asks)
        return None

    def _described(self, one: Mapping[str, Any], asks: str) -> Dataset:
        asked = self.call("GET", f"datasets/{one['id']}/questions")["items"]
        questions = {question["name"]: str(question["id"]) for question in asked}
        if asks not in questions:
            raise ReviewError(
                f"The dataset {one['name']} on {self.url} is no review of ours; name another workspace in the recipe's "
                "review.workspace."
            )
        return Dataset(
            str(one["id"]), str(one["name"]), questions, int(one.get("distribution", {}).get("min_submitted", 1))
        )

    def create(self, workspace: str, name: str, told: layout.Told, overlap: int) -> Dataset:
        """Make and publish the dataset.

        Raises:
            ReviewError: the server refuses.
        """
        asks = told.questions[0].name

        def make() -> None:
            import argilla as rg

            if self.find(workspace, name, asks):  # an attempt whose answer was lost
                return
            settings = _settings(rg, told, overlap)
            rg.Dataset(name, workspace=workspace, settings=settings, client=self._client).create()

        self._patiently(make)
        found = self.find(workspace, name, asks)
        if found is None:
            raise ReviewError(f"Argilla did not keep the dataset {name}; push again.")
        return found


def named() -> bool:
    """Whether the environment names a server."""
    return bool(os.environ.get(URL))


def connect(patience: float | None = None) -> Connection:
    """The server that the environment names; it may go on failing for `patience` seconds (None: the default).

    Raises:
        ReviewError: the environment does not say where or with which key, the packages are missing, or nobody answers.
    """
    patience = PATIENCE_SECONDS if patience is None else patience
    url, key = os.environ.get(URL, ""), os.environ.get(KEY, "")
    if not url or not key:
        missing = " and ".join(name for name, value in ((URL, url), (KEY, key)) if not value)
        raise ReviewError(
            f"Set {missing} in the environment, to the address of an Argilla server and your key on it; "
            "`make review-server` starts one on this machine to try things out."
        )
    try:
        import argilla as rg
        import tenacity  # noqa: F401 (all that is missing is told at once)
    except ImportError as error:
        raise ReviewError(
            f"Argilla's client is not installed ({error.name}); `pip install 'capcurriculum[review]'` brings it."
        ) from error
    logging.getLogger("argilla.sdk").setLevel(logging.CRITICAL)  # what goes wrong becomes one sentence here
    from review.argilla import bounded

    words = {"api_url": url, "api_key": key, "timeout": _TIMEOUT_SECONDS, "retries": 0, **bounded.arguments()}
    with _sentences(url):
        client = _retrying(patience)(lambda: rg.Argilla(**words))
        return Connection(client, patience)


def _retrying(patience: float) -> Any:
    """Call something until it works, as long as it may yet, with growing pauses."""
    import tenacity

    return tenacity.Retrying(
        stop=tenacity.stop_after_delay(patience),
        wait=tenacity.wait_random_exponential(multiplier=0.25, max=_LONGEST_WAIT),
        retry=tenacity.retry_if_exception(_may_pass),
        reraise=True,
    )


def _may_pass(error: BaseException) -> bool:
    """Whether the same request may work in a while."""
    import httpx

    if isinstance(error, httpx.TransportError):
        return not isinstance(error, httpx.UnsupportedProtocol)
    status = _status(error)
    return status is not None and (status >= 500 or status in _BUSY)


def _status(error: BaseException | None) -> int | None:
    """The HTTP status behind an error of Argilla's or of its HTTP client; None if there is none."""
    import httpx

    while error is not None:
        if isinstance(error, httpx.HTTPStatusError):
            return error.response.status_code
        status = getattr(error, "status_code", None)
        if isinstance(status, int):
            return status
        error = error.__cause__
    return None


@contextmanager
def _sentences(url: str) -> Iterator[None]:
    """Errors of Argilla's and of its HTTP client as one sentence each; a key is in none of them."""
    import httpx
    from argilla._exceptions import ArgillaError

    try:
        yield
    except httpx.HTTPStatusError as error:
        raise ReviewError(_refused(url, error.response.status_code, error.response.text)) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ReviewError(
            f"Argilla at {url} does not answer ({type(error).__name__}: {' '.join(str(error).split())[:200]}); check "
            f"{URL} and the server, and run the same command again: it goes on where it stopped."
        ) from error
    except ArgillaError as error:
        cause = error.__cause__ or error
        raise ReviewError(_refused(url, _status(error) or 0, str(cause))) from error


def _refused(url: str, status: int, said: str) -> str:
    words = " ".join(said.split())[:300]
    if status in (401, 403) or "credentials" in words.lower():
        return f"Argilla at {url} does not let this key do that ({words}); check {KEY}."
    if not status:
        return f"Argilla's client gives up ({words})."
    if status >= 500:
        return f"Argilla at {url} goes on failing ({status}: {words}); run the same command again when it is well."
    return f"Argilla at {url} refuses ({status}: {words})."


def _settings(rg: Any, told: layout.Told, overlap: int) -> Any:
    """Argilla's own objects for what `layout` says."""
    fields = [
        rg.ImageField(f.name, title=f.title, required=False)
        if f.kind == "image"
        else rg.TextField(f.name, title=f.title, use_markdown=f.kind == "markdown", required=f.required)
        for f in told.fields
    ]
    makers: Mapping[str, Callable[[layout.Asked], Any]] = {
        "label": lambda q: rg.LabelQuestion(
            q.name, labels=dict(q.labels), title=q.title, description=q.description, required=q.required,
            visible_labels=max(3, len(q.labels)),
        ),
        "rating": lambda q: rg.RatingQuestion(
            q.name, values=[int(value) for value in q.labels], title=q.title, description=q.description,
            required=q.required,
        ),
        "text": lambda q: rg.TextQuestion(q.name, title=q.title, description=q.description, required=q.required),
    }  # fmt: skip
    metadata = [
        (rg.FloatMetadataProperty if m.number else rg.TermsMetadataProperty)(
            m.name, title=m.title, visible_for_annotators=m.visible
        )
        for m in told.metadata
    ]
    return rg.Settings(
        guidelines=told.guidelines,
        fields=fields,
        questions=[makers[q.kind](q) for q in told.questions],
        metadata=metadata,
        distribution=rg.TaskDistribution(min_submitted=overlap),
    )
