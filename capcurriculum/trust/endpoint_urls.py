"""Base URLs of endpoints: of one form, so that nobody can read another host or a secret into them, and what they are.

A recipe is written into its run and a result into its table, so an address holds no secret: no user, no query.
"""

import ipaddress
import re
from urllib.parse import urlsplit

_URL = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(:[0-9]{1,5})?(/[\w.~:%+,-]+)*/?", re.ASCII)
#: Variables that hold the Hub's token; no other host is sent it.
HUB_VARIABLES = frozenset(
    {
        "HF_TOKEN", "HF_API_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_TOKEN", "HUGGINGFACE_TOKEN",
        "HUGGINGFACEHUB_API_TOKEN",
    }
)  # fmt: skip
_HUB = "huggingface.co"


def checked(url: str) -> str:
    """Return `url` if it is a base URL of the one form that every program reads alike.

    Raises:
        ValueError: it holds what may be a secret, or what programs read in different ways. It is not repeated.
    """
    if "@" in url:
        raise ValueError("must hold no user name or password; put the key where api_key_env says")
    if "?" in url or "#" in url:
        raise ValueError("must hold no ? and no #, behind which secrets stand; put the key where api_key_env says")
    if (added := re.search(r"/(chat/)?completions/?$", url)) and _URL.fullmatch(url):
        raise ValueError(f"ends in {added[0]}, which is added to each request; leave that out")
    if not _URL.fullmatch(url) or not _host(url) or not _port(url):
        raise ValueError(
            "an address is http or https, a host and a path of plain letters, for example http://127.0.0.1:8000/v1"
        )
    return url


def _port(url: str) -> bool:
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


def _host(url: str) -> str:
    """The host in lower case, "" for none."""
    try:
        return (urlsplit(url).hostname or "").strip(".-").lower()
    except ValueError:
        return ""


def on_loopback(url: str) -> bool:
    """Whether what listens there is a program on this machine, told by the address alone."""
    host = _host(url)
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def in_clear(url: str) -> bool:
    """Whether anybody on the way to another machine can read what is sent."""
    return url.startswith("http://") and not on_loopback(url)


def check_hub_token(variable: str, url: str) -> None:
    """Refuse to send the Hub's token to another host.

    Raises:
        ValueError: the variable holds it, and the address is none of the Hub's.
    """
    host = _host(url)
    hub = url.startswith("https://") and (host == _HUB or host.endswith(f".{_HUB}"))
    if variable in HUB_VARIABLES and not hub:
        raise ValueError(
            f"{variable} is the Hub's token and goes to the Hub alone; put the endpoint's own key into a variable of "
            "its own"
        )
