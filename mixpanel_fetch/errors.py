"""One small tree of exceptions; each knows the exit code that ``mp`` ends with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mixpanel_fetch.result import RunResult


class MixpanelFetchError(Exception):
    """Base of every error that mixpanel-fetch raises on purpose.

    ``str(error)`` is one line that says what is wrong and what to do.
    """

    exit_code = 1
    attempts = 1
    """How many requests were made before this was raised."""

    def __reduce__(self) -> tuple[object, ...]:
        # Failures travel between processes: keep attributes that __init__ takes as keywords.
        return (_rebuild, (type(self), self.args, self.__dict__))


def _rebuild(
    kind: type[MixpanelFetchError], args: tuple[object, ...], state: dict[str, object]
) -> MixpanelFetchError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class AuthenticationError(MixpanelFetchError):
    """Mixpanel refused the credentials: 401, 403, or 400 with "Unable to authenticate".

    ``status`` is the answer's; 403 means that they are good, but not for this project.
    """

    exit_code = 2

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class PaymentRequiredError(MixpanelFetchError):
    """The project's plan has no Query API: 402."""

    exit_code = 2


class RateLimitError(MixpanelFetchError):
    """A quota is exhausted: 429 for longer than the caller was willing to wait.

    ``retry_after`` is in seconds, None where the server named no time.
    ``limit`` is ``"hourly"``, ``"concurrency"`` or ``"unknown"``.
    """

    def __init__(
        self, message: str, *, retry_after: float | None = None, limit: str = "unknown"
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.limit = limit


class ServerError(MixpanelFetchError):
    """Mixpanel failed (5xx), or answered something that its API does not promise.

    ``transient`` says whether asking again may help, ``retry_after`` in how many seconds the
    server wants to be asked (None: it did not say).
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        transient: bool = True,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.transient = transient
        self.retry_after = retry_after


class QueryError(MixpanelFetchError):
    """Mixpanel refused the query: 400, or a query too long."""

    exit_code = 3


class SessionExpiredError(MixpanelFetchError):
    """The server no longer holds the result that the session's pages are cut from."""


class TransportError(MixpanelFetchError):
    """No answer came: refused, reset, cut short, timed out, or TLS not trusted.

    ``transient`` says whether asking again may help; ``expired`` that the certificate is not valid
    by this machine's clock.
    """

    def __init__(self, message: str, *, transient: bool = True, expired: bool = False) -> None:
        super().__init__(message)
        self.transient = transient
        self.expired = expired


class TableExistsError(MixpanelFetchError):
    """The table is there already, and the mode is ``create``."""

    exit_code = 3


class TableNotFoundError(MixpanelFetchError):
    """The table is missing, and the mode is ``append``."""

    exit_code = 3


class StorageError(MixpanelFetchError):
    """The destination failed while data were on their way: disk full, file locked, and kin."""


class ReaderGoneError(StorageError):
    """Whoever read the stream that rows are written to wants no more of them.

    A sink that streams raises it; the run ends at once, and ``mp`` says nothing, as after SIGPIPE.
    """

    exit_code = 141


class DriftError(MixpanelFetchError):
    """The properties of a table are no longer those of its schema file, and that was to fail."""


class PluginError(MixpanelFetchError):
    """A plugin is unknown, broken, claimed twice, wrongly configured, or broke its promise."""

    exit_code = 3

    def __init__(self, message: str, *, exit_code: int = 3) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class ConfigError(MixpanelFetchError):
    """A setting, an argument or a file is missing or wrong."""

    exit_code = 3


class JobsBusyError(MixpanelFetchError):
    """Another process is running the jobs of the same file."""


class FetchInterruptedError(MixpanelFetchError):
    """The caller asked the fetch to stop, before there was anything to report on."""

    exit_code = 130


class IncompleteFetchError(MixpanelFetchError):
    """A stream has ended, and not every profile was in it; ``result`` says which pages failed."""

    def __init__(self, message: str, *, result: RunResult) -> None:
        super().__init__(message)
        self.result = result
