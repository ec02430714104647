"""Who may ask, and for which project."""

from __future__ import annotations

import base64
import binascii
import hmac
import re

from mixpanel_fetch.simulator.config import SimulatorConfig
from mixpanel_fetch.simulator.messages import ApiError, Request

PAYMENT_REQUIRED = (
    "Your account is blocked because payment is required. "
    "Please contact support via https://mixpanel.com/get-support"
)
FORBIDDEN = "You do not have permission to access this project"


def unauthorized(status: int) -> ApiError:
    """Give the refusal of credentials in one of its two seen forms, 401 or 400."""
    if status == 400:
        return ApiError(400, "Unable to authenticate request")
    extra = {"code": 401, "status": "Unauthorized"}
    return ApiError(401, "Invalid credentials", extra=extra, echo_request=False)


def payment_required() -> ApiError:
    """Give the refusal of a plan without the Query API (facts sheet 2.10)."""
    return ApiError(402, PAYMENT_REQUIRED)


def forbidden() -> ApiError:
    """Give the refusal of a project that these credentials may not see."""
    return ApiError(403, FORBIDDEN)


def authorize(config: SimulatorConfig, request: Request) -> None:
    """Let a request pass or raise the ApiError of its refusal.

    A service account must name its project, a project secret need not (facts sheet 2.1, 2.3).
    """
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if not _known(config, scheme.lower(), value.strip()):
        raise unauthorized(config.auth_failure_status)
    if config.payment_required:
        raise payment_required()
    if config.forbidden:
        raise forbidden()
    project_id = request.params.get("project_id")
    if not project_id:
        if not _is_project_secret(config, scheme.lower(), value.strip()):
            raise unauthorized(config.auth_failure_status)
        return
    if not re.fullmatch(r"[0-9]{1,18}", project_id):
        raise ApiError(400, f"project_id must be a number, not {project_id!r}")
    if int(project_id) != config.project_id:
        raise forbidden()


def _known(config: SimulatorConfig, scheme: str, value: str) -> bool:
    if scheme == "bearer":
        return config.bearer_token is not None and _same(value, config.bearer_token)
    account = f"{config.username}:{config.secret}"
    if scheme == "basic" and any(_same(pair, account) for pair in _basic_pairs(value)):
        return True
    return _is_project_secret(config, scheme, value)


def _is_project_secret(config: SimulatorConfig, scheme: str, value: str) -> bool:
    # The colon after the secret is left out by some clients (facts sheet 2.3).
    return (
        scheme == "basic"
        and config.api_secret is not None
        and any(_same(pair.removesuffix(":"), config.api_secret) for pair in _basic_pairs(value))
    )


def _basic_pairs(value: str) -> list[str]:
    """Give what a Basic value can mean: the server takes it plain too (facts sheet 2.2)."""
    try:
        return [value, base64.b64decode(value, validate=True).decode("utf-8")]
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return [value]


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
