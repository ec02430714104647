"""What obstore raises, as a few words without addresses, keys or the store's own page."""

from __future__ import annotations

import re

from mixpanel_fetch.secret import redact_uri

_CODE = re.compile(r"<Code>(\w+)</Code>")
_STATUS = re.compile(r"status code: (\d{3}[^:\n]*)")
_KIND = re.compile(r"kind: (\w+)")
_LONGEST = 200

_DENIED = "access is denied"
_REGION = "the bucket is in another region; set the option region"
_NO_BUCKET = "there is no such bucket"
_WORDS = {
    "NoSuchBucket": _NO_BUCKET,
    "ContainerNotFound": _NO_BUCKET,
    "AccessDenied": _DENIED,
    "AllAccessDisabled": _DENIED,
    "InvalidAccessKeyId": "the store does not know the access key",
    "SignatureDoesNotMatch": "the secret access key is not that of the access key",
    "InvalidToken": "the session token is wrong",
    "ExpiredToken": "the credentials have expired",
    "RequestTimeTooSkewed": "this machine's clock differs too much from the store's",
    "PermanentRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "NoSuchUpload": "the store has dropped the upload",
    "EntityTooLarge": "the file is larger than the store takes",
    "QuotaExceeded": "the store is full",
}
"""By the code in the body of an answer, of S3 and those that answer like it."""


def explained(error: Exception, timeout: float) -> str:
    """Return why a request failed. ``timeout``: seconds that it had."""
    text = str(error)
    code, status = _CODE.search(text), _STATUS.search(text)
    if code is not None and code[1] in _WORDS:
        return _WORDS[code[1]]
    if "redirect without LOCATION" in text:
        return _REGION
    if status is not None:
        if status[1][:3] in {"401", "403"}:
            return _DENIED
        return f"the store answered {status[1].strip()}" + (f" ({code[1]})" if code else "")
    kinds = _KIND.findall(text)
    if "Timeout" in kinds:
        return f"the store did not answer within {timeout:g} seconds"
    if "Connect" in kinds:
        return "the store cannot be reached"
    if kinds:
        return "the connection to the store broke"
    line = redact_uri(text.split("\n", maxsplit=1)[0])
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."
