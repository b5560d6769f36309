"""Training runs that are killed at chosen moments.

    python -m tests.flows.kills CONFIG WHOLE KILLED FULL

The program imports torch once and forks a child for every run, which then is `b2ner train` and
nothing else; a child kills itself, by SIGKILL, at the moment that it was given. Three folders are
filled: by an unbroken run, by one that is killed at every moment and resumed each time, and by one
whose disk is full from its second checkpoint on. What a run says goes to `FOLDER.stderr`.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from b2ner.cli.main import app
from b2ner.training import checkpoints, loop, metrics


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def replaced(place: Any, name: str, before: Callable[..., bool]) -> None:
    """Have a function of the program ask before each call whether this is the moment."""
    original = getattr(place, name)

    def asked(*arguments: Any, **options: Any) -> Any:
        if before(*arguments, **options):
            die()
        return original(*arguments, **options)

    setattr(place, name, asked)


def in_a_step() -> None:
    replaced(metrics, "append", lambda path, line: line.step == 3)


def while_a_checkpoint_is_written() -> None:
    replaced(checkpoints, "_sync", lambda path: path.name == "state.json")


def before_a_checkpoint_is_scored() -> None:
    replaced(loop._Run, "score", lambda run, path, scorer: path.name == "step-00000004")


def while_a_checkpoint_is_scored() -> None:
    from b2ner.workflows import checkpoint_scores

    replaced(checkpoint_scores, "score_predictions", lambda path: True)


def while_an_old_checkpoint_is_removed() -> None:
    replaced(shutil, "rmtree", lambda path, **_: ".step-00000004." in str(path))


def within_a_line_of_metrics() -> None:
    def torn(path: Path, line: Any) -> bool:
        if line.step == 7:
            with path.open("ab") as file:
                file.write(b'{"step": 7, "epo')
        return bool(line.step == 7)

    replaced(metrics, "append", torn)


MOMENTS = (
    in_a_step,
    while_a_checkpoint_is_written,
    before_a_checkpoint_is_scored,
    while_a_checkpoint_is_scored,
    while_an_old_checkpoint_is_removed,
    within_a_line_of_metrics,
)


def no_moment() -> None:
    pass


def full_disk() -> None:
    """From step 3 on no file can grow beyond a block: what a full disk is to who writes."""
    write = metrics.append

    def append(path: Path, line: Any) -> None:
        write(path, line)
        if line.step == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    metrics.append = append


def child(moment: Callable[[], None], arguments: list[str], stderr: Path) -> int:
    """Start `b2ner train` in a process of its own, which is killed at the moment."""
    number = os.fork()
    if number:
        return number
    with stderr.open("ab") as file:
        os.dup2(file.fileno(), 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    moment()
    app(["train", *arguments], prog_name="b2ner")
    os._exit(97)  # the command ends by an exit of its own


def ended(number: int) -> int:
    """The exit code of a child; that of one that was killed is negative."""
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def main(config: str, whole: Path, killed: Path, full: Path) -> None:
    told = {folder: folder.with_suffix(".stderr") for folder in (whole, killed, full)}

    def start(moment: Callable[[], None], folder: Path) -> int:
        return child(moment, [config, "--resume", "-o", str(folder)], told[folder])

    assert ended(start(no_moment, whole)) == 0
    number = start(no_moment, killed)
    until = time.monotonic() + 120
    while not (killed / "metrics.jsonl").is_file() and time.monotonic() < until:
        time.sleep(0.005)  # then it is killed from outside, wherever it is
    os.kill(number, signal.SIGKILL)
    assert ended(number) == -signal.SIGKILL
    for moment in MOMENTS:
        code = ended(start(moment, killed))
        assert code == -signal.SIGKILL, f"{moment.__name__}: ended with {code}"
        if moment is while_an_old_checkpoint_is_removed:
            assert list((killed / "checkpoints").glob(".step-00000004.*.part"))
    assert ended(start(no_moment, killed)) == 0
    assert ended(start(full_disk, full)) == 2


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:]))
