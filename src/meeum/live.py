"""A run followed by a page in its folder: how far it is, its curves, and what the network makes of a piece so far."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace

from meeum import folder
from meeum.errors import MeeumError
from meeum.glimpse import Glimpse
from meeum.job import Event, Events, Job
from meeum.report import live
from meeum.report.live import Standing
from meeum.stages import STAGES
from meeum.volume import Volume

LOOKS, PAGES = 0.007, 0.003  # shares of the training time for questioning the network and for writing the page
ADVANCE = 0.1  # seconds, for the first pages of a short training
BETWEEN = 3.0  # seconds between two pages at least
VOXELS = {2: 2**16, 3: 2**18}  # of the piece that is looked at, by the number of spatial axes
FEW = {2: 2**14, 3: 2**16}  # the same in a training of less than
SHORT = 120.0  # seconds
FIRST = 0.5  # training steps that a first look at a few voxels takes about; later ones are timed


def following(events: Events, job: Job) -> Events:
    """The same events; on their way `live.html` in the run's folder is kept up to date, if the settings ask for it."""
    if not job.settings.output.live or job.model is not None:
        yield from events
        return
    page = Page(job)
    try:
        for event in events:
            page.hear(event)
            yield event
    finally:
        page.close()


@dataclass
class Purse:
    """Time that may be spent: a share of what has passed; each spending is expected to cost what the cheapest did."""

    share: float
    advance: float = 0.0  # seconds that may be spent at once
    cost: float = 0.0
    spent: float = 0.0

    def allows(self, passed: float) -> bool:
        return self.spent + self.cost <= self.share * passed + self.advance

    @contextmanager
    def paying(self) -> Iterator[None]:
        began = time.perf_counter()
        yield
        took = time.perf_counter() - began
        self.cost, self.spent = min(self.cost or took, took), self.spent + took


@dataclass
class Page:
    """The page of one run: hears its events, and is written when there is time for it."""

    job: Job
    began: float = math.nan  # when the training did
    shown: float = -math.inf  # when it was written last
    first: int = 0  # the step before the first that was heard of
    metrics: list[Mapping[str, object]] = field(default_factory=list)
    looks: Purse = field(default_factory=lambda: Purse(LOOKS))
    pages: Purse = field(default_factory=lambda: Purse(PAGES, advance=ADVANCE))
    standing: Standing = field(init=False)

    def __post_init__(self) -> None:
        name = self.job.volumes[0].name
        self.standing = Standing(name, self.job.command, STAGES["train"], 0.0)

    def hear(self, event: Event) -> None:
        """Take in an event; write the page if a stage begins, or if it is time."""
        if event.stage == "train":
            self._train(event)
        elif event.stage == "note":
            self.standing = replace(self.standing, notes=(*self.standing.notes, event.text))
        elif event.stage in ("stopped", "done"):
            self._end(event)
        elif event.stage in STAGES and self._has_begun:
            self._go_on(event)

    def close(self) -> None:
        """Say on the page that nothing more will come, if the run did not say so itself."""
        if self._has_begun and not self.standing.ended:
            self._write(replace(self.standing, ended="Ended before it was done; --resume goes on from what was saved"))

    @property
    def _has_begun(self) -> bool:
        return math.isfinite(self.began)

    def _train(self, event: Event) -> None:
        progress, now = event.progress, time.monotonic()
        if progress is None:
            return
        if not self._has_begun:
            self.began, self.first, self.metrics = now, progress.step, _earlier(self.job)
        self.metrics.append(asdict(progress))
        self.standing = replace(
            self.standing,
            share=event.share,
            step=progress.step,
            steps=progress.steps,
            seconds_left=event.seconds_left,
            metrics=self.metrics,
        )
        if now - self.shown >= BETWEEN:
            self._look(event, now - self.began)
            if self.pages.allows(now - self.began):
                self._write(self.standing)

    def _look(self, event: Event, passed: float) -> None:
        """Question the network if its time allows."""
        steps = self.standing.step - self.first
        if event.look is None or not steps:
            return
        volume, short = self.job.volumes[0], passed + event.seconds_left < SHORT
        if not self.looks.spent:
            self.looks.cost = (1 if short else 4) * FIRST * passed / steps
        if self.looks.allows(passed):
            with self.looks.paying():
                seen = event.look((FEW if short else VOXELS)[len(volume.spatial_axes)])
                self.standing = _with_pictures(self.standing, seen, volume)

    def _go_on(self, event: Event) -> None:
        """Stages after the training: a page when one begins, and now and then."""
        doing, now = STAGES[event.stage], time.monotonic()
        began = doing != self.standing.doing
        self.standing = replace(self.standing, doing=doing, share=event.share, seconds_left=event.seconds_left, steps=0)
        if began or now - self.shown >= BETWEEN:
            self._write(self.standing)

    def _end(self, event: Event) -> None:
        if not self._has_begun:
            return
        report = (self.job.folder / folder.REPORT).is_file() and event.stage == "done"
        ended = "Done" if event.stage == "done" else f"{event.text[:1].upper()}{event.text[1:]}; --resume goes on"
        self.standing = replace(self.standing, ended=ended, report=report, share=event.share)
        self._write(self.standing)

    def _write(self, standing: Standing) -> None:
        """A page that cannot be written must not end a training: what is saved for good will tell of a full disk."""
        self.shown = time.monotonic()
        with self.pages.paying():
            try:
                folder.put(self.job.folder / folder.LIVE, live.page(standing))
            except MeeumError:
                return


def _with_pictures(standing: Standing, seen: Glimpse, volume: Volume) -> Standing:
    edges = volume.voxel_size_um[-2:] if volume.voxel_size_um else None
    size = (edges[0], edges[1]) if edges else None
    names = [letter.lower() for letter in volume.axes]
    where = [f"{name} = {part.start}" for name, part in zip(names, seen.region[:-2], strict=False)]
    rows, columns = seen.region[-2:]
    place = ", ".join([*where, f"y = {rows.start} to {rows.stop - 1}", f"x = {columns.start} to {columns.stop - 1}"])
    pictures = live.pictures(seen.noisy, seen.denoised, unit=volume.quantity, voxel_size=size)
    return replace(standing, pictures=pictures, caption=f"After step {seen.step}, at {place}, in one colour scale.")


def _earlier(job: Job) -> list[Mapping[str, object]]:
    """The curves of a run that is resumed, up to where it was interrupted."""
    path = job.folder / folder.METRICS
    if not job.resume or not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
