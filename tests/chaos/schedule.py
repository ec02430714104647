"""Random schedules: from a seed to what is fetched, what goes wrong, and when it is stopped."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

from mixpanel_fetch.simulator import Fault

READ_TIMEOUT = 0.5
"""Seconds that a fetch in this process waits for an answer: more than "slow", less than "hang"."""
MAX_WAIT = 1.5
"""Seconds that a fetch may wait for a quota, in all."""

STATUSES = ("500", "502", "503", "504")
QUOTAS = ("429_hourly", "429_concurrency", "429_load_shed")
BROKEN = ("reset", "reset_midway", "close", "truncate", "bad_json", "not_object", "html")
WRONG = ("empty", "wrong_page", "missing_field", "slow", "hang")
KINDS = (*STATUSES, *QUOTAS, *BROKEN, *WRONG)
# What a page may meet for ever. A quota for ever costs MAX_WAIT, and hanging for ever more.
LASTING = ("500", "503", "404", "reset", "truncate", "bad_json", "html", "empty", "wrong_page")


@dataclass(frozen=True)
class Stop:
    """One try that is ended: once so many more requests came (or ``seconds`` after the start).

    ``how``: "cancel" within the process, "SIGKILL" or "SIGTERM" of the real one.
    """

    how: str
    requests: int | None
    seconds: float


@dataclass(frozen=True)
class Schedule:
    """One run from its first try until all is there. Rows, pages and repeats are counts.

    ``old``: rows of the table that is there before, None for no table. ``faults``: those of the
    first tries; ``later_faults``: those of one resume; after that there are none. ``stops``: the
    tries that are ended, one after the other.
    """

    seed: int
    mode: str
    parallel: bool
    workers: int
    page_size: int
    rows: int
    repeats: int
    old: int | None
    max_retries: int
    faults: tuple[Fault, ...]
    later_faults: tuple[Fault, ...]
    stops: tuple[Stop, ...]

    @property
    def pages(self) -> int:
        """How many pages there are."""
        return -(-self.rows // self.page_size)

    def __str__(self) -> str:
        lines = [f"schedule {self.seed}: {self.pages} pages"]
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, tuple):
                lines += [f"  {field.name}: {len(value)}", *(f"    {_short(one)}" for one in value)]
            else:
                lines.append(f"  {field.name}: {value}")
        return "\n".join(lines)


def _short(part: object) -> str:
    """Return a fault or a stop without what is as usual."""
    if not isinstance(part, Fault):
        return str(part)
    shown = [f"page {part.page}", part.kind, "for ever" if part.times is None else ""]
    shown += [f"rows={part.rows}"] * (part.kind == "short")
    shown += [f"seconds={part.seconds}"] * (part.seconds is not None)
    shown += [f"retry_after={part.retry_after!r}"] * (part.retry_after is not None)
    return " ".join(filter(None, shown))


def schedule_of(seed: int, modes: Sequence[str]) -> Schedule:
    """Return the schedule of ``seed`` for a fetch within this process."""
    chance = random.Random(f"faults {seed}")
    draft = _draft(seed, chance, modes)
    stops = [_cancel(chance, draft.pages) for _ in range(chance.choice((0, 0, 0, 1, 2)))]
    faults = _faults(chance, draft, share=chance.choice((0.0, 0.1, 0.2, 0.5)), most=4)
    return _with(
        draft,
        faults=(*faults, *_expiries(chance, draft.pages)),
        later_faults=_faults(chance, draft, share=0.1, most=3),
        stops=stops,
    )


def kill_schedule_of(seed: int, modes: Sequence[str]) -> Schedule:
    """Return the schedule of ``seed`` for real processes that are killed."""
    chance = random.Random(f"kills {seed}")
    draft = _draft(seed, chance, modes)
    stops = [_kill(chance, draft.pages) for _ in range(chance.choice((1, 1, 1, 2, 3)))]
    # Few, and none for ever: a real process waits half a second and more before it tries again.
    faults = _faults(chance, draft, share=chance.choice((0.0, 0.03, 0.1)), most=1)
    passing = [fault for fault in faults if fault.times is not None]
    return _with(draft, faults=passing, stops=stops)


def _draft(seed: int, chance: random.Random, modes: Sequence[str]) -> Schedule:
    mode = chance.choice(modes)
    rows = int(200 * 4 ** (chance.random() ** 4))  # 10 to 40 pages, often few
    # A table may stand in the way of a create, or be missing for an append; rarely, for both are
    # over at once.
    there = {"create": 0.05, "append": 0.95}.get(mode, 0.6)
    return Schedule(
        seed=seed,
        mode=mode,
        parallel=chance.random() < 0.75,
        workers=chance.randint(2, 5),
        page_size=20,
        rows=rows,
        repeats=chance.choice((0, 0, 0, 0, rows // 20)),
        old=chance.randint(1, 60) if chance.random() < there else None,
        max_retries=chance.randint(1, 3),
        faults=(),
        later_faults=(),
        stops=(),
    )


def _with(draft: Schedule, **changes: Sequence[object]) -> Schedule:
    given = {field.name: getattr(draft, field.name) for field in fields(draft)}
    return Schedule(**{**given, **{name: tuple(value) for name, value in changes.items()}})


def _faults(
    chance: random.Random, draft: Schedule, *, share: float, most: int
) -> tuple[Fault, ...]:
    struck = [page for page in range(draft.pages) if chance.random() < share]
    return tuple(fault for page in struck for fault in _faults_of(chance, draft, page, most))


def _faults_of(chance: random.Random, draft: Schedule, page: int, most: int) -> Iterator[Fault]:
    # The rows of a short page tell which are missing, unless an id may come again elsewhere.
    kinds = KINDS if draft.repeats else (*KINDS, "short", "short")
    for _ in range(chance.randint(1, most)):
        yield _fault(chance, draft, page, chance.choice(kinds))
    if chance.random() < 0.2 and page > 0:
        yield Fault(page, chance.choice(LASTING), times=None)


def _fault(chance: random.Random, draft: Schedule, page: int, kind: str) -> Fault:
    wait = "1" if chance.random() < 0.04 else "0"
    if kind in QUOTAS:
        return Fault(page, kind, retry_after=wait)
    if kind in STATUSES:
        return Fault(page, kind, retry_after=wait if chance.random() < 0.3 else None)
    if kind == "short":
        left = min(draft.page_size, draft.rows - page * draft.page_size)
        return Fault(page, kind, rows=chance.randint(1, max(1, left - 1)))
    if kind == "hang":
        # Sometimes the client gives up first, sometimes the server.
        return Fault(
            page, kind, seconds=chance.choice((0.05, 0.05, 0.05, 0.05, READ_TIMEOUT + 0.2))
        )
    if kind == "slow":
        return Fault(page, kind, seconds=chance.choice((0.02, 0.05, 0.2)))
    return Fault(page, kind)


def _expiries(chance: random.Random, pages: int) -> Iterator[Fault]:
    if chance.random() < 0.12:
        for _ in range(chance.choice((1, 1, 2, 4))):
            yield Fault(chance.randrange(1, pages), "expired_session")


def _cancel(chance: random.Random, pages: int) -> Stop:
    return Stop("cancel", chance.randint(0, pages), seconds=0.0)


def _kill(chance: random.Random, pages: int) -> Stop:
    how = chance.choice(("SIGKILL", "SIGKILL", "SIGTERM"))
    if chance.random() < 0.15:  # while it starts, too
        return Stop(how, None, seconds=chance.uniform(0.0, 1.0))
    # At the end there is most to be broken: half a table, a table and a ledger that disagree.
    late = chance.random() < 0.3
    return Stop(how, pages if late else chance.randint(1, pages), chance.uniform(0.0, 0.06))
