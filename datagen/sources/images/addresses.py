"""Which addresses an untrusted URL may lead to: public ones, and none of the local network.

The policy is asked about addresses after the name was resolved, and the connection is made to the very address it
allowed, so a name that resolves differently a moment later (DNS rebinding) gains nothing.

What is public is said here and not left to `ipaddress.is_global`: its lists differ between versions of Python, and it
takes for global what some networks answer on inside (site-local IPv6, addresses of cloud providers' own services).
Sources: IANA's special-purpose address registries for IPv4 and IPv6 and its registry of IPv6 address space
(RFC 6890, RFC 4291 section 2.4), and the providers' own documents.
"""

import ipaddress
import socket
from collections.abc import Callable
from urllib.parse import SplitResult, urlsplit

from capcurriculum.reasons import Reason
from datagen.image_decoding import ImageProblem

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
#: Whether a connection to an address and port is allowed.
Policy = Callable[[Address, int], bool]

#: IPv6 that is given out as global unicast; all else is local, reserved, multicast or a way to IPv4.
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
#: What is not public within 0.0.0.0/0 and 2000::/3.
_SPECIAL = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # behind a carrier's NAT; 100.100.100.200 is Alibaba Cloud's metadata
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's own services, asked from inside a machine of theirs
        "169.254.0.0/16",  # link-local; 169.254.169.254 is most clouds' metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; 192.0.0.192 is Oracle Cloud's metadata
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # tunnels of multicast
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/3",  # multicast, reserved, broadcast
        "2001::/23",  # protocol assignments, Teredo and ORCHID among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
PORTS = {"http": 80, "https": 443}
_LONGEST_URL = 4096


def public(address: Address, port: int) -> bool:
    """The policy of every build: global unicast addresses, on the web's own ports."""
    meant = _meant(address)
    unicast = isinstance(meant, ipaddress.IPv4Address) or meant in _GLOBAL_UNICAST
    return port in PORTS.values() and unicast and not any(meant in network for network in _SPECIAL)


def _meant(address: Address) -> Address:
    """The IPv4 address that a mapped or translated one (NAT64, the only way out of some networks) leads to."""
    if isinstance(address, ipaddress.IPv6Address) and (address.ipv4_mapped or address in _NAT64):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


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
    if parts.scheme not in PORTS or not parts.hostname or len(url) > _LONGEST_URL:
        raise ImageProblem(Reason.ADDRESS_REFUSED, "is no http or https URL with a host")
    if any(ord(letter) <= 32 or ord(letter) == 127 for letter in url):
        raise ImageProblem(Reason.ADDRESS_REFUSED, "has spaces or control characters in its URL")
    if parts.username is not None or parts.password is not None or port == 0:
        raise ImageProblem(Reason.ADDRESS_REFUSED, "carries a user name or no usable port in its URL")
    return parts


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
