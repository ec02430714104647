"""The transform ``hash``: HMAC-SHA-256 in place of values, the same in every run with one key.

The hash of a value is that of its canonical form (:mod:`mixpanel_fetch_redact.canonical`), a JSON
string of 64 hexadecimal digits; a null, or a property that a row lacks, stays as it is. The name
``distinct_id`` (or ``$distinct_id``) means the id of the profile itself, and properties of these
names: the table's ids are then hashes, too.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from mixpanel_fetch.protocols import Transform
from mixpanel_fetch.secret import Secret
from mixpanel_fetch_redact.canonical import canonical, encoded
from mixpanel_fetch_redact.columns import ID_NAMES, names_column, refuse_last_seen
from mixpanel_fetch_redact.keys import DEFAULT_VARIABLE, key_from_environment, key_from_keyring
from mixpanel_fetch_redact.paths import folding, parse_paths, tree_of
from mixpanel_fetch_redact.walking import NULL, Raw, Redaction, Replace

_BLOCK = 64
_EXAMPLE = "hash:$email,address.street"
_WHICH_KEY = b"mixpanel-fetch-redact: which key is this"


class HashOptions(Schema):
    """``key_env``: the environment variable that holds the key. ``keyring_service`` and
    ``keyring_user``: where a keyring holds it. ``match_case``: names match in their own case only.
    """

    key_env = fields.String(load_default=None, validate=validate.Length(min=1))
    keyring_service = fields.String(load_default=None, validate=validate.Length(min=1))
    keyring_user = fields.String(load_default=None, validate=validate.Length(min=1))
    match_case = fields.Boolean(load_default=False)

    @validates_schema
    def one_source(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse half of a keyring entry, and two sources of a key."""
        given = {name for name in data if data[name] is not None} - {"match_case"}
        if len(given & {"keyring_service", "keyring_user"}) == 1:
            raise ValidationError("keyring_service and keyring_user go together")
        if len(given) == 3:
            raise ValidationError("give key_env, or keyring_service and keyring_user, not both")


class Hasher:
    """HMAC-SHA-256 with one key. It cannot be pickled: the key stays in this process.

    Not of the module ``hmac``, which takes twice as long for texts as short as these.
    """

    def __init__(self, key: Secret) -> None:
        secret = key.reveal().encode("utf-8", "surrogateescape")
        block = (sha256(secret).digest() if len(secret) > _BLOCK else secret).ljust(_BLOCK, b"\0")
        self._inner = sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = sha256(bytes(byte ^ 0x5C for byte in block))

    def digest(self, message: bytes) -> str:
        """Return the hash of ``message`` as hexadecimal digits."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.hexdigest()

    def value(self, text: bytes) -> Raw:
        """Return the hash of the JSON value ``text`` as JSON; null for null."""
        return NULL if text == b"null" else Raw(f'"{self.digest(canonical(text))}"'.encode())

    def distinct_id(self, text: str) -> str:
        """Return the hash of an id: that of a JSON string of the same characters."""
        return self.digest(encoded(text))


def make_hash(
    argument: str | None,
    *,
    key_env: str | None = None,
    keyring_service: str | None = None,
    keyring_user: str | None = None,
    match_case: bool = False,
) -> Transform:
    """Return the transform ``hash``. Raises ConfigError for a bad argument, or without a key."""
    paths = parse_paths(argument, _EXAMPLE)
    refuse_last_seen("hash", paths)
    if keyring_service is not None and keyring_user is not None:
        key = key_from_keyring(keyring_service, keyring_user)
    else:
        key = key_from_environment(key_env or DEFAULT_VARIABLE)
    hasher = Hasher(key)
    hashes_ids = any(names_column(path, ID_NAMES) for path in paths)
    if hashes_ids:
        paths += [(name,) for name in ID_NAMES]
    return Redaction(
        Replace(tree_of(paths, folding(match_case)), hasher.value),
        ids=hasher.distinct_id if hashes_ids else None,
        identity=f"key {hasher.digest(_WHICH_KEY)[:16]}",
    )
