"""Going through a row's JSON along the paths, and leaving all else as the bytes that it is.

Members off the paths are never decoded. Of members that share a name the last one stays, as every
JSON reader has it, so none can hide behind another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from mixpanel_fetch.batch import Batch
from mixpanel_fetch_redact.paths import Node

Raw = msgspec.Raw
Action = Callable[[bytes], "Raw | None"]
"""From a value's JSON text to the value in its place; None takes it away."""

NULL = Raw(b"null")
encode = msgspec.json.Encoder().encode
_members = msgspec.json.Decoder(dict[str, Raw]).decode
_elements = msgspec.json.Decoder(list[Raw]).decode


@dataclass(frozen=True)
class Redaction:
    """A transform that makes each row's properties anew, and may do so with the ids.

    ``identity`` tells apart what argument and options do not: which key is in use.
    """

    properties: Callable[[bytes], bytes]
    ids: Callable[[str], str] | None = None
    keeps_last_seen: bool = True
    identity: str = field(default="", repr=False)

    def __call__(self, batch: Batch) -> Batch:
        """Return a new batch. Raises ValueError for a row that cannot be read: nothing passes."""
        make, ids = self.properties, self.ids
        try:
            properties = [make(text) for text in batch.properties]
        except (msgspec.MsgspecError, ValueError, RecursionError):
            # Not its own words: they could quote the row.
            raise ValueError("the properties of a profile cannot be read as JSON") from None
        return Batch(
            batch.distinct_ids if ids is None else [ids(one) for one in batch.distinct_ids],
            properties,
            batch.last_seen if self.keeps_last_seen else [None] * len(batch),
        )


@dataclass(frozen=True)
class Replace:
    """Put what ``action`` returns in the place of each value that ``tree`` leads to.

    Where a path goes on and the value does not (a text where ``address.street`` needs an object),
    ``action`` gets that value: it may be what the path was meant for. A null stays.
    """

    tree: Node
    action: Action

    def __call__(self, text: bytes) -> bytes:
        """Return the properties anew; ``text`` itself where no path leads into it."""
        members = _members(text)
        return encode(members) if self._enter(members, self.tree) else text

    def _enter(self, members: dict[str, Raw], node: Node) -> bool:
        """Redact ``members`` in place; returns whether there was any on a path."""
        children = node.children
        found = [(name, child) for name in members if (child := children[name]) is not None]
        for name, child in found:
            value = self._value(bytes(members[name]), child)
            if value is None:
                del members[name]
            else:
                members[name] = value
        return bool(found)

    def _value(self, text: bytes, node: Node) -> Raw | None:
        if node.leaf:
            return self.action(text)
        if text[:1] == b"{":
            members = _members(text)
            self._enter(members, node)
            return Raw(encode(members))
        if text[:1] == b"[":
            values = [self._element(bytes(one), node) for one in _elements(text)]
            return Raw(encode([one for one in values if one is not None]))
        return NULL if text == b"null" else self.action(text)

    def _element(self, text: bytes, node: Node) -> Raw | None:
        # Only one list is looked through: the depth of a row must not be that of this recursion.
        if node.elements is None and text[:1] == b"[":
            return self.action(text)
        return self._value(text, node.elements or node)


@dataclass(frozen=True)
class Keep:
    """Keep what ``tree`` leads to, and nothing else.

    Objects and lists on the way stay with what is kept of them. Where a path goes on and the
    value does not, the value goes, unless it is null.
    """

    tree: Node

    def __call__(self, text: bytes) -> bytes:
        """Return the properties that are kept."""
        return encode(self._members(_members(text), self.tree))

    def _members(self, members: dict[str, Raw], node: Node) -> dict[str, Raw]:
        children = node.children
        return {
            name: kept
            for name, value in members.items()
            if (child := children[name]) is not None
            and (kept := value if child.leaf else self._value(bytes(value), child)) is not None
        }

    def _value(self, text: bytes, node: Node) -> Raw | None:
        if node.leaf:
            return Raw(text)
        if text[:1] == b"{":
            return Raw(encode(self._members(_members(text), node)))
        if text[:1] == b"[":
            values = [self._element(bytes(one), node) for one in _elements(text)]
            return Raw(encode([one for one in values if one is not None]))
        return NULL if text == b"null" else None

    def _element(self, text: bytes, node: Node) -> Raw | None:
        if node.elements is None and text[:1] == b"[":
            return None
        return self._value(text, node.elements or node)
