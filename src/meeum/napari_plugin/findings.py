"""An audit as a table in a widget: verdicts in symbols and words, and the places that can be gone to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QBrush, QColor
from qtpy.QtWidgets import QHeaderView, QTreeWidget, QTreeWidgetItem, QVBoxLayout, QWidget

from meeum.auditing import Audit, Finding, Place, Verdict
from meeum.auditing.table import Line, table
from meeum.napari_plugin import panel
from meeum.volume import Volume

COLOURS: dict[Verdict, str] = {"fail": "#ff7070", "warn": "#ffc800", "cannot tell": "#7fc8ff", "pass": "#7bd88f"}
AT = Qt.ItemDataRole.UserRole
MOST = 12  # places of one finding


class FindingsTable:
    """One row per finding, the gravest first, its places below it; a click on a place calls `go`."""

    def __init__(self, go: Callable[[Volume, tuple[float, ...]], None]) -> None:
        self.native = QWidget()
        self.head, self.tree, self.told = panel.words(), QTreeWidget(), panel.words()
        self._go = go
        self._volume: Volume | None = None
        column = QVBoxLayout(self.native)
        column.setContentsMargins(0, 0, 0, 0)
        for part in (self.head, self.tree, self.told):
            column.addWidget(part)
        self.tree.setHeaderLabels(["verdict", "measure", "value"])
        self.tree.header().setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        self.tree.header().setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        self.tree.header().setStretchLastSection(False)
        self.tree.setIndentation(14)
        self.tree.setMinimumHeight(240)
        self.tree.setAccessibleName("verdicts of the audit")
        self.tree.currentItemChanged.connect(lambda item, _: self._tell(item))
        self.tree.itemClicked.connect(lambda item, _: self._visit(item))
        self.native.hide()

    def show(self, audit: Audit) -> None:
        """Fill the table."""
        self._volume = audit.noisy
        self.tree.clear()
        for line, finding in zip(table(audit), audit.graded, strict=True):
            self.tree.addTopLevelItem(_row(line, finding, audit.noisy))
        self.head.setText(f"<b>Audit</b>: {audit.sentence}. A click on a place (below a row) goes there.")
        self.native.show()
        if audit.findings:
            self.tree.setCurrentItem(self.tree.topLevelItem(0))

    def _tell(self, item: Any) -> None:
        self.told.setText(item.toolTip(0) if item else "")

    def _visit(self, item: Any) -> None:
        at = item.data(0, AT)
        if at is not None and self._volume is not None:
            self._go(self._volume, tuple(at))


def _row(line: Line, finding: Finding, volume: Volume) -> Any:
    item = QTreeWidgetItem([f"{line.symbol} {line.verdict}", line.title, line.value])
    item.setForeground(0, QBrush(QColor(COLOURS[line.verdict])))
    for column in range(3):
        item.setToolTip(column, f"{line.title}: {line.value}, ideal {line.ideal}. {line.sentence}")
    for place in finding.places[:MOST]:
        item.addChild(_place(place, finding, volume))
    return item


def _place(place: Place, finding: Finding, volume: Volume) -> Any:
    """`at` is kept in voxels, one number per axis of the image."""
    at = (*((float(place.frame),) if volume.axes.startswith("T") else ()), *place.centre)
    words = " ".join(f"{axis} {value:.0f}" for axis, value in zip(volume.axes.lower(), at, strict=True))
    item = QTreeWidgetItem(["→ go to", words, f"{place.strength:.3g} {finding.effect_unit}".rstrip()])
    item.setData(0, AT, [float(value) for value in at])
    item.setToolTip(0, f"{finding.title}: {words}")
    return item
