"""The runs of a comparison: each from where it stands to its score, one after the other or several at a time."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.synchronize import Event as Flag
from pathlib import Path
from typing import Any

import torch

from meeum import api, folder, results, run
from meeum.comparing import scores
from meeum.errors import MeeumError
from meeum.folder import MODEL_FILE
from meeum.job import Event, Job
from meeum.noise import Noise
from meeum.settings import Settings
from meeum.volume import Volume

OFTEN = 0.5  # seconds between two events of one stage that another process tells
THREADS = 4  # of a run, where there are that many cores for each

Told = tuple[str, Event]  # which run, and what of it


@dataclass(frozen=True)
class Task:
    """One run: its name, the setting and seed it is of, the image, its folder, and the noise it is scored by."""

    name: str
    setting: str
    seed: int
    file: Path
    folder: Path
    settings: Settings = field(repr=False)
    noise: Noise = field(repr=False)
    command: str = ""


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def suitable_jobs() -> int:
    """How many runs at a time suit this machine: small networks gain little beyond four threads; a GPU takes one."""
    return 1 if torch.cuda.is_available() else max(1, cores() // THREADS)


def is_done(task: Task) -> bool:
    """Whether it is finished, and scored by this very noise."""
    return is_trained(task) and scores.is_scored(task.folder, task.noise)


def is_trained(task: Task) -> bool:
    """The report is what a run writes last."""
    return (task.folder / folder.REPORT).is_file()


def one_by_one(waiting: Sequence[Task], stop: Callable[[], bool]) -> Iterator[Told]:
    """In this process, until it is stopped."""
    for task in waiting:
        for event in perform(task, stop):
            yield task.name, event
            if event.stage == "stopped":
                return


def perform(task: Task, stop: Callable[[], bool]) -> Iterator[Event]:
    """One run from where it stands to its score; what goes wrong in it ends it, not the comparison."""
    try:
        volume, last = api.read_chosen(task.file, task.settings.input), Event("done")
        if not is_trained(task):
            (task.folder / scores.FILE).unlink(missing_ok=True)
            for last in run.start(_job(task, volume, stop)):
                yield replace(last, audit=None, look=None)  # neither travels between processes
        if last.stage == "stopped":
            return
        yield Event("score", text="estimating the error")
        scores.score(task.folder, results.as_trained_on(volume, task.settings), task.noise)
        yield Event("scored", 1.0)
    except MeeumError as error:
        yield Event("failed", text=str(error))


def _job(task: Task, volume: Volume, stop: Callable[[], bool]) -> Job:
    resume = (task.folder / MODEL_FILE).is_file()
    begun = (task.folder / folder.COMMAND).is_file() and not resume
    settings = api.load(task.folder).settings if resume else task.settings
    return Job(
        [volume], task.folder, settings, task.command, resume=resume, overwrite=begun, stop=stop
    )  # fmt: skip


def side_by_side(waiting: Sequence[Task], jobs: int, stop: Callable[[], bool]) -> Iterator[Told]:
    """Several processes, each with its share of the cores, take one task after the other."""
    context = multiprocessing.get_context("spawn")  # a fork would copy threads' locks
    tasks, told, halt = context.Queue(), context.Queue(), context.Event()
    for task in waiting:
        tasks.put(task)
    for _ in range(jobs):
        tasks.put(None)
    work = partial(_work, tasks, told, halt, max(1, cores() // jobs))
    workers = [context.Process(target=work, daemon=True) for _ in range(jobs)]
    left = {task.name for task in waiting}
    try:
        for worker in workers:
            worker.start()
        while any(worker.is_alive() for worker in workers) or not told.empty():
            if stop():
                halt.set()
            try:
                name, event = told.get(timeout=0.2)
            except queue.Empty:
                continue
            left -= {name} if event.stage in ("scored", "failed") else set()
            if event.stage != "stopped":
                yield name, event
    finally:
        for worker in workers:
            worker.terminate()
    if halt.is_set():
        yield "", Event("stopped", text=f"stopped with {len(left)} of {len(waiting)} runs to do")
        return
    for name in sorted(left):
        yield name, Event("failed", text="its process ended without a word, perhaps for want of memory; try --jobs 1")


def _work(tasks: Any, told: Any, halt: Flag, threads: int) -> None:
    """What a process does; Ctrl-C is heard by the first one, which says when to halt."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(threads)
    while not halt.is_set() and (task := tasks.get()) is not None:
        stage, spoken = "", 0.0
        for event in perform(task, halt.is_set):
            now = time.monotonic()
            if event.stage != stage or event.share >= 1 or now - spoken > OFTEN:
                told.put((task.name, event))
                stage, spoken = event.stage, now
