"""Adapter to Argilla's client (SDK 2.8): workspaces, users, datasets, and requests with retries.

Argilla's import takes more than a second, so it stands inside functions.
"""

import logging
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from capcurriculum.errors import ReviewError
from review.argilla import layout

URL, KEY = "ARGILLA_API_URL", "ARGILLA_API_KEY"
#: Seconds for which a failing server is asked again.
PATIENCE_SECONDS = 90.0
_TIMEOUT_SECONDS = 60

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset on the server: its id, the ids of its questions by name, and the responses wanted for each record."""

    id: str
    name: str
    questions: Mapping[str, str]
    overlap: int


@dataclass(frozen=True, slots=True)
class Account:
    """A new annotator with a generated password, which is shown once."""

    username: str
    password: str


class Connection:
    """A reachable server and the key's owner on it; every method raises `ReviewError` if a request fails for good."""

    def __init__(self, client: Any, patience: float) -> None:
        self._client, self._patience = client, patience

    @property
    def url(self) -> str:
        """The server's address."""
        return str(self._client.api_url)

    def call(self, method: str, path: str, **words: Any) -> Any:
        """The JSON of one response, None without a body; the request must be idempotent, since it is retried."""

        def ask() -> Any:
            response = self._client.http_client.request(method, f"/api/v1/{path}", **words)
            response.raise_for_status()
            return response.json() if response.content else None

        return self._persist(ask)

    def _persist(self, ask: Callable[[], Result]) -> Result:
        from review.argilla import http

        return http.persist(self.url, self._patience, ask)

    def users(self) -> dict[str, str] | None:
        """User id -> username of all accounts; None if the key's owner may not list them."""
        if str(getattr(self._client.me.role, "value", self._client.me.role)) != "owner":
            return None
        return {str(user["id"]): str(user["username"]) for user in self.call("GET", "users")["items"]}

    def _workspaces(self) -> dict[str, str]:
        """Name -> id of the workspaces of the key's owner."""
        return {str(one["name"]): str(one["id"]) for one in self.call("GET", "me/workspaces")["items"]}

    def ensure_workspace(self, name: str, create: bool) -> None:
        """Check that the workspace exists, or create it.

        Raises:
            ReviewError: it does not exist and `create` is false, or the key may not create it.
        """
        there = self._workspaces()
        if name in there:
            return
        if not create:
            raise ReviewError(
                f"Argilla has no workspace {name} that this key may use (it may use "
                f"{', '.join(sorted(there)) or 'none'}); add --create-workspace, or name another one in the recipe's "
                "review.workspace."
            )
        self.call("POST", "workspaces", json={"name": name})

    def ensure_annotators(self, workspace: str, names: Sequence[str]) -> Iterator[Account]:
        """Add annotators to the workspace; yields the accounts that were created.

        Raises:
            ReviewError: the key is not an owner's.
        """
        if not names:
            return
        known, there = self.users(), self._workspaces().get(workspace)
        if known is None or there is None:
            raise ReviewError("Only an owner's key may make annotators; ask the owner of the server for one.")
        ids = {username: key for key, username in known.items()}
        members = {one["username"] for one in self.call("GET", f"workspaces/{there}/users")["items"]}
        for name in names:
            if name not in ids:
                password = secrets.token_urlsafe(12)
                account = {"username": name, "first_name": name, "password": password, "role": "annotator"}
                ids[name] = str(self.call("POST", "users", json=account)["id"])
                yield Account(name, password)
            if name not in members:
                self.call("POST", f"workspaces/{there}/users", json={"user_id": ids[name]})

    def find(self, workspace: str, name: str, asks: str = layout.RIGHT) -> Dataset | None:
        """The published dataset of this name, None if there is none; an unpublished one is deleted.

        Raises:
            ReviewError: the dataset has no question `asks`, so it is not one of capcurriculum.
        """
        there = self._workspaces().get(workspace)
        found = self.call("GET", "me/datasets")["items"]
        one = next((each for each in found if each["name"] == name and str(each["workspace_id"]) == there), None)
        if one is None:
            return None
        if one["status"] != "ready":
            self.call("DELETE", f"datasets/{one['id']}")
            return None
        questions = self.call("GET", f"datasets/{one['id']}/questions")["items"]
        ids = {question["name"]: str(question["id"]) for question in questions}
        if asks not in ids:
            raise ReviewError(
                f"The dataset {name} on {self.url} is not one of capcurriculum; name another workspace in the recipe's "
                "review.workspace."
            )
        return Dataset(str(one["id"]), name, ids, int(one.get("distribution", {}).get("min_submitted", 1)))

    def create(self, workspace: str, name: str, wanted: layout.Told, overlap: int) -> Dataset:
        """Create and publish a dataset."""
        asks = wanted.questions[0].name

        def make() -> None:
            import argilla as rg

            if not self.find(workspace, name, asks):  # else an earlier try succeeded and its response was lost
                settings = _settings(rg, wanted, overlap)
                rg.Dataset(name, workspace=workspace, settings=settings, client=self._client).create()

        self._persist(make)
        found = self.find(workspace, name, asks)
        if found is None:
            raise ReviewError(f"Argilla did not keep the dataset {name}; push again.")
        return found


def named() -> bool:
    """Whether the environment names a server."""
    return bool(os.environ.get(URL))


def connect(patience: float | None = None) -> Connection:
    """Connect to the server in the environment, which may keep failing for `patience` seconds (default: 90).

    Raises:
        ReviewError: the address or the key is not set, the extra `review` is missing, or the server does not answer.
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

        from review.argilla import http
    except ImportError as error:
        raise ReviewError(
            f"Argilla's client is not installed ({error.name}); `pip install 'capcurriculum[review]'` brings it."
        ) from error
    logging.getLogger("argilla.sdk").setLevel(logging.CRITICAL)  # errors are raised as ReviewError
    words = {"api_url": url, "api_key": key, "timeout": _TIMEOUT_SECONDS, "retries": 0, **http.arguments()}
    return Connection(http.persist(url, patience, lambda: rg.Argilla(**words)), patience)


def _settings(rg: Any, wanted: layout.Told, overlap: int) -> Any:
    """The layout as `rg.Settings`."""

    def question(asked: layout.Asked) -> Any:
        words = {"title": asked.title, "description": asked.description, "required": asked.required}
        if asked.kind == "rating":
            return rg.RatingQuestion(asked.name, values=[int(value) for value in asked.labels], **words)
        if asked.kind == "text":
            return rg.TextQuestion(asked.name, **words)
        visible = max(3, len(asked.labels))
        return rg.LabelQuestion(asked.name, labels=dict(asked.labels), visible_labels=visible, **words)

    fields = [
        rg.ImageField(f.name, title=f.title, required=False)
        if f.kind == "image"
        else rg.TextField(f.name, title=f.title, use_markdown=f.kind == "markdown", required=f.required)
        for f in wanted.fields
    ]
    metadata = [
        (rg.FloatMetadataProperty if m.number else rg.TermsMetadataProperty)(
            m.name, title=m.title, visible_for_annotators=m.visible
        )
        for m in wanted.metadata
    ]
    return rg.Settings(
        guidelines=wanted.guidelines,
        fields=fields,
        questions=[question(asked) for asked in wanted.questions],
        metadata=metadata,
        distribution=rg.TaskDistribution(min_submitted=overlap),
    )
