"""How Python values become bytes and back without pickle: JSON, Arrow IPC, npy, MIME bundles.

This folder is the same, byte for byte, in the package and in worker-node/ (`make sync-wire`). It runs inside the
sandboxed task too, so it imports only itself and the standard library until a value needs more.

    type                                        format   what comes back
    None, bool, int, float, str, list, dict     json     equal (tuples come back as lists)
    bytes, bytearray                            bytes    bytes
    pandas.DataFrame, pyarrow.Table             arrow    DataFrame, dtypes and index intact
    pandas.Series                               series   Series with its name
    numpy.ndarray (no objects), numpy scalars   npy      equal
    figures, objects with rich representations  mime     the bundle {mime type: content}
    list or dict that holds any of these        list, dict
    anything else                               json     its text, and a note that says so
"""

from .bundles import PLOTLY_MIME, mime_bundle
from .decoding import decode
from .encoded import JSON_TYPES, TEXT_LIMIT, Encoded, ValueDecodingError, ValueEncodingError, dumps
from .encoding import ITEM_LEVELS, encode
from .refs import INLINE_LEVELS, NOTE_LIMIT, from_ref, is_null, to_ref
from .tables import table_bytes

__all__ = [
    "INLINE_LEVELS",
    "ITEM_LEVELS",
    "JSON_TYPES",
    "NOTE_LIMIT",
    "PLOTLY_MIME",
    "TEXT_LIMIT",
    "Encoded",
    "ValueDecodingError",
    "ValueEncodingError",
    "decode",
    "dumps",
    "encode",
    "from_ref",
    "is_null",
    "mime_bundle",
    "table_bytes",
    "to_ref",
]
