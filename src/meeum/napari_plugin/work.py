"""The part of a widget that works: Run and Stop, a bar, what is being done, and the command line that does the same."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterator
from typing import Any

from napari.qt.threading import create_worker
from napari.utils.notifications import show_error
from qtpy.compat import isalive
from qtpy.QtCore import Qt
from qtpy.QtGui import QTextOption
from qtpy.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from meeum.napari_plugin import panel
from meeum.napari_plugin.errands import NAMES, Told

STEPS = 1000  # of the bar
LINES = 3  # of the command


class Work:
    """Runs one generator of `Told` at a time in a worker thread; `heard` gets every record, in Qt's own thread."""

    def __init__(self, verb: str, asked: Callable[[], None], heard: Callable[[Told], None]) -> None:
        self.native = QWidget()
        self.halted, self.notes_told = False, list[str]()
        self.worker: Any = None
        self._heard = heard
        self.run, self.stop = QPushButton(verb), QPushButton("Stop")
        self.stop.setToolTip("Ends between two steps; what is trained is kept")
        self.bar, self.state, self.notes = QProgressBar(), panel.words(), panel.words()
        self.command, self.copy = QPlainTextEdit(), QPushButton("Copy")
        self._lay_out()
        self.run.clicked.connect(lambda *_: asked())
        self.stop.clicked.connect(lambda *_: self.halt())
        self.copy.clicked.connect(lambda *_: QApplication.clipboard().setText(self.command.toPlainText()))
        self._show_idle()

    def start(self, errand: Callable[[], Iterator[Told]]) -> None:
        """Go through a generator in another thread."""

        def telling() -> Iterator[Told]:
            yield from errand()

        self.halted, self.notes_told = False, list[str]()
        self._show_busy()
        self.worker = create_worker(telling, _start_thread=False)
        self.worker.yielded.connect(self._hear)
        self.worker.finished.connect(self._show_idle)
        self.worker.start()

    def halt(self) -> None:
        """Ask the errand to stop; it does so between two steps."""
        self.halted = True
        self.stop.setEnabled(False)
        self.say("finishing this step")

    @property
    def stopping(self) -> bool:
        """Whether what runs is to end at its next step: asked to, or unheard, since the widget is closed."""
        return self.halted or not isalive(self.native)

    def show_command(self, text: str) -> None:
        """The command line that does what is set."""
        self.command.setPlainText(text)

    def say(self, words: str) -> None:
        """What is being done, or why nothing is."""
        self._say(self.state, words)

    def _say(self, label: Any, words: str) -> None:
        label.setText(words)
        label.setVisible(bool(words))

    @property
    def busy(self) -> bool:
        return self.worker is not None

    def _hear(self, told: Told) -> None:
        if not isalive(self.native):
            return
        if told.stage == "note":
            self.notes_told.append(told.text)
            self._say(self.notes, "<br>".join(html.escape(note) for note in self.notes_told))
        elif told.stage in NAMES:
            self.bar.setRange(0, 0 if math.isnan(told.share) else STEPS)
            self.bar.setValue(0 if math.isnan(told.share) else round(STEPS * told.share))
            if not self.stopping:
                self.say(f"{NAMES[told.stage]}: {told.text}" if told.text else NAMES[told.stage])
        else:
            self.say({"done": "Done", "failed": "Not done"}.get(told.stage, told.text))
        if told.stage == "failed":
            complain(told.text)
        self._heard(told)

    def _show_busy(self) -> None:
        self._say(self.notes, "")
        self.run.setEnabled(False)
        self.stop.setEnabled(True)
        self.bar.setRange(0, 0)
        self.bar.show()

    def _show_idle(self) -> None:
        self.worker = None
        if not isalive(self.native):
            return
        self.run.setEnabled(True)
        self.stop.setEnabled(False)
        self.bar.hide()

    def _lay_out(self) -> None:
        column, buttons, line = QVBoxLayout(self.native), QHBoxLayout(), QHBoxLayout()
        column.setContentsMargins(0, 0, 0, 0)
        buttons.addWidget(self.run, 2)
        buttons.addWidget(self.stop, 1)
        self.command.setReadOnly(True)
        self.command.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.command.setFixedHeight(LINES * self.command.fontMetrics().lineSpacing() + 12)
        self.command.setAccessibleName("command line")
        self.command.setToolTip("The command line that does the same")
        self.bar.setTextVisible(False)
        line.addWidget(self.command)
        line.addWidget(self.copy, 0, Qt.AlignmentFlag.AlignTop)
        column.addLayout(line)
        column.addLayout(buttons)
        for part in (self.bar, self.state, self.notes):
            column.addWidget(part)
            part.hide()


def complain(text: str) -> None:
    """meeum's own message as a notification of napari."""
    show_error(text)
