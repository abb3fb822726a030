"""How an indicator is packed, so that a ledger of millions stays small. Pure."""

from __future__ import annotations

import json
import zlib

from helpers.errors import LedgerError
from helpers.indicators import Indicator
from helpers.ledger.bodies.dictionary import DICTIONARY

_DAMAGED = (
    "The ledger cannot be used (state_url): an object in it is damaged. Restore the backup, or move it away and "
    "let adopt fill a new one (docs/ledger.md#when-the-ledger-is-lost)."
)

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
# Copied for each text: to make one anew takes three times as long as to compress an indicator. A small window is enough
# for it, and a large one would have to be copied.
_PREPARED = zlib.compressobj(6, zlib.DEFLATED, 13, 6, zdict=DICTIONARY)


def as_json(fields: Indicator) -> bytes:
    """Return an indicator, or some of its fields, as short JSON with sorted keys."""
    return _encode(fields).encode()


def packed_to_send(lasting: bytes, id_: str, modified: str, valid_until: str) -> bytes:
    """Compress an indicator of which ``lasting`` is all as JSON but these; both times are as STIX writes them."""
    of_sending = as_json({"id": id_, "modified": modified, "valid_until": valid_until})
    return compressed(lasting[:-1] + b"," + of_sending[1:])


def packed_context(lasting: bytes, id_: str, created: str, modified: str) -> bytes:
    """Compress what is no indicator, of which ``lasting`` is all as JSON but these; times are as STIX writes them."""
    return compressed(lasting[:-1] + b"," + as_json({"created": created, "id": id_, "modified": modified})[1:])


def packed(indicator: Indicator) -> bytes:
    """Compress an indicator; the same indicator always gives the same bytes."""
    return compressed(as_json(indicator))


def unpacked(body: bytes) -> Indicator:
    """Undo ``packed``. Raises LedgerError where it is damaged."""
    try:
        indicator: Indicator = json.loads(decompressed(body))
    except ValueError as error:
        raise LedgerError(_DAMAGED) from error
    return indicator


def compressed(text: bytes) -> bytes:
    """Compress a text; the same text always gives the same bytes."""
    compressor = _PREPARED.copy()
    return compressor.compress(text) + compressor.flush()


def decompressed(body: bytes) -> bytes:
    """Undo ``compressed``, also where an earlier version did it, without a dictionary. Raises LedgerError."""
    decompressor = zlib.decompressobj(zdict=DICTIONARY)
    try:
        text = decompressor.decompress(body) + decompressor.flush()
    except zlib.error as error:
        raise LedgerError(_DAMAGED) from error
    if not decompressor.eof:
        raise LedgerError(_DAMAGED)
    return text
