"""What the three widgets have in common on the screen: a scrolling column of labelled rows and parts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

LABEL = 125  # pixels


def column(owner: object, rows: Sequence[tuple[str, Any]], parts: Sequence[Any]) -> Any:
    """A widget to dock: labelled rows, then parts below each other; it keeps its owner alive."""
    inside, area = QWidget(), QScrollArea()
    layout = QVBoxLayout(inside)
    form(layout, rows)
    for part in parts:
        layout.addWidget(part)
    layout.addStretch(1)
    area.setWidget(inside)
    area.setWidgetResizable(True)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setMinimumWidth(400)
    area.owner = owner
    return area


def form(layout: Any, rows: Sequence[tuple[str, Any]]) -> None:
    """Labelled rows, all labels of one width, so that the parts of a widget line up."""
    lines = QFormLayout()
    lines.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    for name, part in rows:
        label = QLabel(name)
        label.setMinimumWidth(LABEL)
        label.setBuddy(part)
        label.setToolTip(part.toolTip())
        lines.addRow(label, part)
    layout.addLayout(lines)


def narrow(box: Any) -> Any:
    """A choice that leaves the widget its width, however long its entries are."""
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(8)
    return box


def words(text: str = "") -> Any:
    """A label that wraps however narrow the widget is, and whose text can be copied."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setMinimumWidth(1)  # else Qt keeps long texts wide
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


class FolderChoice:
    """A line for the folder of a run, with a button that browses; empty keeps no run."""

    def __init__(self, hint: str) -> None:
        self.native, self.line = QWidget(), QLineEdit()
        self._suggested = ""
        self.line.setPlaceholderText(hint)
        button, row = QPushButton("…"), QHBoxLayout(self.native)
        button.setAccessibleName("choose a folder")
        button.setMaximumWidth(30)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.line)
        row.addWidget(button)
        button.clicked.connect(lambda *_: self._browse())

    def suggest(self, path: Path | None) -> None:
        """Where a run of another image would go; what somebody wrote there stays."""
        if self.line.text() == self._suggested:
            self._suggested = str(path or "")
            self.line.setText(self._suggested)

    @property
    def path(self) -> Path | None:
        given = str(self.line.text()).strip()
        return Path(given) if given else None

    def _browse(self) -> None:
        found = QFileDialog.getExistingDirectory(self.native, "Folder of the run", str(self.path or Path.home()))
        if found:
            self.line.setText(found)
