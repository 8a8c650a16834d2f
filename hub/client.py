"""Client of the Hugging Face Hub: the API with its token, the namespaces of that token, and retries."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from huggingface_hub import HfApi, get_token

from capcurriculum.errors import HubError
from capcurriculum.recipe.publish import usable
from hub.patience import Patience

#: hf_xet would retry for more than five minutes against a server that only fails. It reads these on first use.
_XET = {"HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "4", "HF_XET_CLIENT_RETRY_MAX_DURATION": "30s"}


@dataclass(frozen=True, slots=True)
class Hub:
    """The API and its retries; `user` is the token's owner, "" for a reader. The token is in no text that is shown."""

    api: HfApi
    patience: Patience
    user: str = ""
    orgs: tuple[str, ...] = ()
    token: str | None = field(default=None, repr=False)

    def ask(self, doing: str, name: str, *arguments: Any, **options: Any) -> Any:
        """Call the method `name` of `HfApi` with retries; `doing` is what an error says could not be done.

        Raises:
            HubError: the call failed for good.
        """
        return self.patience.persist(doing, partial(getattr(self.api, name), *arguments, **options))

    def namespace(self, wanted: str | None) -> str:
        """The user or organization to publish under; default: the token's owner.

        Raises:
            HubError: the name is invalid, or the token cannot publish under it.
        """
        if not wanted:
            return self.user
        if not usable(wanted):
            raise HubError(f"{wanted!r} cannot be a user or an organization of the Hub; check --namespace.")
        if wanted not in (self.user, *self.orgs):
            known = ", ".join((self.user, *self.orgs))
            raise HubError(f"The token cannot publish under {wanted}; it belongs to {known}. Give one of these.")
        return wanted


def reader(patience: Patience) -> Hub:
    """A client to read with, with or without a token."""
    for name, value in _XET.items():
        os.environ.setdefault(name, value)
    token = get_token()
    return Hub(HfApi(token=token or False, library_name="capcurriculum"), patience, token=token)


def writer(patience: Patience) -> Hub:
    """A client to publish with.

    Raises:
        HubError: there is no token, the Hub refuses it, it is read-only, or the Hub cannot be reached.
    """
    hub = reader(patience)
    if hub.token is None:
        raise HubError(
            "There is no token for the Hub; log in with `hf auth login`, or set HF_TOKEN to one with write access."
        )
    about: Mapping[str, Any] = hub.ask("ask the Hub whose token this is", "whoami")
    role = ((about.get("auth") or {}).get("accessToken") or {}).get("role")
    if role == "read":
        raise HubError(
            f"The token of {about['name']} may only read; make one with write access at "
            "https://huggingface.co/settings/tokens and log in with it."
        )
    orgs = tuple(str(one["name"]) for one in about.get("orgs") or ())
    return Hub(hub.api, patience, str(about["name"]), orgs, hub.token)
