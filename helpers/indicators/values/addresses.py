"""IP addresses and blocks of them, in their canonical form, and those that no rule of Sentinel's matches. Pure."""

from __future__ import annotations

import ipaddress

from constants import Skip
from helpers.indicators.values.text import EDGES, refanged
from helpers.indicators.values.value import Unsendable

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

# Private, loopback and link-local; then what no host has (IANA's special-purpose registries): "this network" (RFC
# 1122), multicast (RFC 5771, RFC 4291), reserved with the broadcast address (RFC 1112), unspecified (RFC 4291).
_NEVER_MATCHED = (
    *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16"),
    *("0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4"),
    *("::1/128", "fc00::/7", "fe80::/10", "::/128", "ff00::/8"),
)
_EDGES_OF_ADDRESS = "." + EDGES
# The first and the last address of each, as numbers, by the version.
_RANGES = {
    version: [
        (int(block.network_address), int(block.broadcast_address))
        for block in map(ipaddress.ip_network, _NEVER_MATCHED)
        if block.version == version
    ]
    for version in (4, 6)
}
_MAPPED = 96  # bits before the IPv4 address that ::ffff:0:0/96 holds (RFC 4291, section 2.5.5.2)


def address(text: str, *, send_private_and_cidr: bool, send_cidr: bool) -> str:
    """Return the canonical text of an address or a block. Raises Unsendable for what is none, or is not sent."""
    network = network_in(text)
    if network is None:
        raise Unsendable(Skip.BAD_VALUE, "not an IP address or block")
    if not send_private_and_cidr:
        _refuse_unmatched(network, send_cidr)
    return str(network if network.num_addresses > 1 else network.network_address)


def network_in(text: str) -> IpNetwork | None:
    """Return the address or block that a text is, defanged, quoted or in brackets; None for anything else."""
    bare = refanged(text).strip(_EDGES_OF_ADDRESS).removeprefix("[").removesuffix("]").partition("%")[0]
    try:
        # Which of the two it is, ip_network finds out by an exception, which takes as long as the rest.
        return _held(ipaddress.IPv6Network(bare, strict=False)) if ":" in bare else ipaddress.IPv4Network(bare, False)
    except ValueError:
        return None


def may_be_address(name: str) -> bool:
    """Say whether a host's name has to be looked at: no name has a colon, and few end with a digit."""
    return name[-1:].isdigit() or ":" in name


def _held(network: ipaddress.IPv6Network) -> IpNetwork:
    """Return the IPv4 address, or block, that an IPv6 one maps; others stand for themselves."""
    held = network.network_address.ipv4_mapped
    if held is None:  # as for a block that is larger than all mapped ones
        return network
    return ipaddress.IPv4Network((int(held), network.prefixlen - _MAPPED))


def _refuse_unmatched(network: IpNetwork, send_cidr: bool) -> None:
    if network.num_addresses > 1 and not send_cidr:
        raise Unsendable(Skip.CIDR)
    number = int(network.network_address)
    if any(first <= number <= last for first, last in _RANGES[network.version]):
        raise Unsendable(Skip.PRIVATE_ADDRESS)
