"""Doing what a page says: its shell and Python blocks, in order, against a simulator."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mixpanel_fetch.simulator import SimulatorProcess

from .pages import Block

ELSEWHERE = "in another terminal"
_SECONDS = 120
# What a block exports holds for the blocks after it, and any command in it that fails is seen.
_SHELL = """set -o pipefail
trap 'env -0 > "$DOCS_ENVIRONMENT"' EXIT
trap 'failed=$?' ERR
{code}
exit "${{failed:-$?}}"
"""


def is_run(block: Block) -> bool:
    """Whether a block can be run here: the comment above it says so."""
    needed = block.note.removeprefix("needs ") if block.note.startswith("needs ") else None
    if block.note.startswith("not run: ") or (needed and shutil.which(needed) is None):
        return False
    return block.language in {"sh", "python"}


def due_exit(block: Block) -> int:
    """Return what a block is to exit with."""
    words = block.note.partition("exits with ")
    return int(words[2]) if words[1] else 0


class Walk:
    """A folder, an environment, and what was done there so far."""

    def __init__(self, folder: Path, home: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self._state = home / "environment"
        scripts = Path(sys.executable).parent
        self.environment = {
            **os.environ,
            **settings,
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_CACHE_HOME": str(home / "cache"),
            "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
            "DOCS_ENVIRONMENT": str(self._state),
        }

    def do(self, block: Block) -> subprocess.CompletedProcess[str]:
        """Run a block to its end."""
        python = [sys.executable, "-W", "error", "-c", block.code]
        shell = ["bash", "-c", _SHELL.format(code=block.code)]
        done = subprocess.run(
            python if block.language == "python" else shell,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        if block.language == "sh":
            self._take_over()
        return done

    def _take_over(self) -> None:
        texts = self._state.read_text(encoding="utf-8").split("\0")
        names = (text.partition("=")[::2] for text in texts if text)
        self.environment |= {k: v for k, v in names if k.startswith(("MP_", "PG"))}

    @contextmanager
    def running(self, block: Block) -> Iterator[None]:
        """Run a block beside the others, and take the settings that it prints."""
        child = subprocess.Popen(
            ["bash", "-c", f"exec {block.code}"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            assert child.stdout is not None
            for line in (child.stdout.readline() for _ in range(2)):
                words = line.removeprefix("export ").split()
                self.environment |= dict(word.split("=", 1) for word in words)
            yield
        finally:
            child.send_signal(signal.SIGINT)
            child.communicate(timeout=_SECONDS)


def walk(page_blocks: list[Block], folder: Path, home: Path) -> Iterator[tuple[Block, str]]:
    """Do the blocks of one page; yield each with what was wrong, empty for nothing."""
    with ExitStack() as stack:
        settings = {}
        if all(block.note != ELSEWHERE for block in page_blocks):
            simulator = SimulatorProcess(profiles=2500, api_secret="demo-project-secret")
            settings = {
                "MP_API_BASE_URL": stack.enter_context(simulator).base_url,
                "MP_USERNAME": "demo",
                "MP_SECRET": "demo-secret",
                "MP_PROJECT_ID": "12345",
            }
        together = any(block.language == "sh" for block in page_blocks)
        steps = Walk(folder, home, settings)
        for number, block in enumerate(page_blocks):
            if block.note == ELSEWHERE:
                stack.enter_context(steps.running(block))
                continue
            if not together:
                steps.folder = folder / str(number)
                steps.folder.mkdir()
            began = time.monotonic()
            done = steps.do(block)
            said = f"{done.stdout}{done.stderr}"
            if done.returncode != due_exit(block) or "Traceback" in said:
                seconds = time.monotonic() - began
                yield block, f"{block.place}: exit {done.returncode} after {seconds:.1f} s\n{said}"
            else:
                yield block, ""
