"""Whose turn it is, among jobs that must not all run at once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence, Set

DEFAULT_JOBS = 4
"""How many jobs run at once where nobody says how many."""


class JobQueue:
    """Jobs, by number, that wait and run. Knows nothing of time, threads or what jobs do.

    ``needs[number]`` is what a job has to itself while it runs: jobs that need the same do not run
    side by side, and those behind them that need something else overtake them. ``most`` is how many
    may run at once, None for any number.
    """

    def __init__(self, needs: Sequence[Set[Hashable]], most: int | None = None) -> None:
        self._needs = needs
        self._most = len(needs) if most is None else most
        self._waiting = list(range(len(needs)))
        self._running: set[int] = set()

    @property
    def running(self) -> frozenset[int]:
        """The jobs that have begun and not ended."""
        return frozenset(self._running)

    def begin(self) -> int | None:
        """Return the first waiting job whose turn it is, which runs from now on; else None."""
        if len(self._running) >= self._most:
            return None
        busy = {need for number in self._running for need in self._needs[number]}
        for number in self._waiting:
            if busy.isdisjoint(self._needs[number]):
                self._waiting.remove(number)
                self._running.add(number)
                return number
        return None

    def end(self, number: int) -> None:
        """Let others have what ``number``, which runs, had to itself."""
        self._running.remove(number)

    def give_up(self) -> list[int]:
        """Return the jobs that wait; they never run."""
        waiting, self._waiting = self._waiting, []
        return waiting
