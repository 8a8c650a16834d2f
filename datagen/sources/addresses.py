"""Which addresses a URL of somebody else's data set may lead to: public ones, and nothing of our own network.

The policy is asked about addresses after the name was resolved, and the connection is made to the very address it
allowed, so a name that resolves differently a moment later (DNS rebinding) gains nothing.
"""

import ipaddress
import socket
from collections.abc import Callable
from urllib.parse import SplitResult, urlsplit

from capcurriculum.reasons import Reason
from datagen.images import ImageProblem

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
#: Whether a connection to an address and port is allowed.
Policy = Callable[[Address, int], bool]

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_PORTS = {"http": 80, "https": 443}
_LONGEST_URL = 4096


def public(address: Address, port: int) -> bool:
    """The policy of every build: globally routed unicast addresses, on the web's own ports."""
    return port in _PORTS.values() and all(
        one.is_global and not (one.is_multicast or one.is_reserved or one.is_unspecified) for one in _meant(address)
    )


def _meant(address: Address) -> list[Address]:
    """An address and those that stand inside it: mapped, translated and tunnelled ones reach their IPv4 part."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    inner: list[Address] = [one for one in (address.ipv4_mapped, address.sixtofour, *(address.teredo or ())) if one]
    if address in _NAT64:
        inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    # ::ffff:a.b.c.d is a.b.c.d, while in the others the outside must be public too.
    return inner if address.ipv4_mapped else [address, *inner]


def checked_url(url: str) -> SplitResult:
    """The parts of a URL that may be asked.

    Raises:
        ImageProblem: it is no http(s) URL, has no host, or carries a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ImageProblem(Reason.ADDRESS_REFUSED, f"is no URL: {error}") from error
    if parts.scheme not in _PORTS or not parts.hostname or len(url) > _LONGEST_URL:
        raise ImageProblem(Reason.ADDRESS_REFUSED, "is no http or https URL with a host")
    if any(ord(letter) <= 32 or ord(letter) == 127 for letter in url):
        raise ImageProblem(Reason.ADDRESS_REFUSED, "has spaces or control characters in its URL")
    if parts.username is not None or parts.password is not None or port == 0:
        raise ImageProblem(Reason.ADDRESS_REFUSED, "carries a user name or no usable port in its URL")
    return parts


def port_of(parts: SplitResult) -> int:
    """The URL's port, its scheme's own if it names none."""
    return parts.port or _PORTS[parts.scheme]


def resolve(host: str, port: int, policy: Policy) -> list[str]:
    """The addresses of a host, each allowed by the policy.

    Raises:
        ImageProblem: the name does not resolve, or any of its addresses is refused (a name with a public and a private
            address is an attack or a mistake).
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ImageProblem(Reason.DEAD_LINK, f"the host {host[:100]!r} does not resolve") from error
    addresses = list(dict.fromkeys(str(entry[4][0]).split("%")[0] for entry in found))
    for address in addresses:
        if not policy(ipaddress.ip_address(address), port):
            raise ImageProblem(Reason.ADDRESS_REFUSED, f"the host {host[:100]!r} leads to {address} port {port}")
    return addresses
