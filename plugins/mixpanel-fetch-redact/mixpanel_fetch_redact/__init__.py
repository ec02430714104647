"""Transforms for mixpanel-fetch that keep personal data from being stored.

``hash:PATHS``, ``mask:PATHS``, ``keep-only:PATHS`` and ``drop-pii``. They work on a page before
the sink sees it, so that nothing they take away reaches a disk. How paths are written stands in
:mod:`mixpanel_fetch_redact.paths`.
"""

from __future__ import annotations

from collections.abc import Iterable

from mixpanel_fetch.hookspecs import TransformSpec, hookimpl
from mixpanel_fetch_redact.hashing import HashOptions, make_hash
from mixpanel_fetch_redact.keeping import make_keep_only
from mixpanel_fetch_redact.masking import MaskOptions, make_mask
from mixpanel_fetch_redact.personal import DropPiiOptions, make_drop_pii


@hookimpl
def register_transforms() -> Iterable[TransformSpec]:
    """Return the transforms ``hash``, ``mask``, ``keep-only`` and ``drop-pii``."""
    return [
        TransformSpec("hash", make_hash, HashOptions, "HMAC in place of values: hash:$email"),
        TransformSpec("mask", make_mask, MaskOptions, "j***@e***.com: mask:$email,$phone"),
        TransformSpec(
            "keep-only", make_keep_only, None, "an allow list: keep-only:plan,company.name"
        ),
        TransformSpec(
            "drop-pii", make_drop_pii, DropPiiOptions, "drop Mixpanel's personal properties"
        ),
    ]
