"""MISP values as Sentinel's stock rules compare them, by what they mean: one module for each kind of value. Pure.

The rules (Azure-Sentinel, "Threat Intelligence (NEW)") compare text: domains in lower case and
punycode without a trailing dot, addresses in canonical form, URLs exactly, with a scheme.
"""

from helpers.indicators.values.addresses import IpNetwork, network_in
from helpers.indicators.values.hashes import is_digest
from helpers.indicators.values.hosts import port_of, punycode
from helpers.indicators.values.normalise import normalise
from helpers.indicators.values.text import plain, storable
from helpers.indicators.values.value import Unsendable, Value

__all__ = [
    "IpNetwork",
    "Unsendable",
    "Value",
    "is_digest",
    "network_in",
    "normalise",
    "plain",
    "port_of",
    "punycode",
    "storable",
]
