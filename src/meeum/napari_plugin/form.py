"""The form: a field per setting, made from the schema; few in front, the others behind "More settings"."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QLabel,
    QLineEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from meeum.errors import UsageError
from meeum.napari_plugin import panel, schema
from meeum.napari_plugin.schema import Entry
from meeum.settings import Settings

FRONT = ("training.minutes", "training.objective", "input.projection", "input.remove_lattice", "output.formats")


@dataclass(frozen=True)
class Field:
    """One setting on the screen; `get` and `put` take its value as text, `heard` connects who wants to hear of it."""

    widget: Any
    get: Callable[[], str]
    put: Callable[[str], None]
    heard: Callable[[Callable[..., None]], Any]


class Form:
    """Fields of all settings on top of `base`; `settings()` is what they say."""

    def __init__(self, base: Settings, changed: Callable[[], None], front: Sequence[str] = FRONT) -> None:
        self.base = base
        self.native = QWidget()
        self.fields = {name: _field(entry) for name, entry in schema.entries().items()}
        self.free = QLineEdit()
        self.free.setPlaceholderText("section.key=value …")
        self.free.setToolTip("Any setting as on the command line, for example training.steps=500; these come last")
        self.problem = panel.words()
        self.problem.setStyleSheet("color: #ff7070")
        self._changed, self._quiet = changed, False
        self._lay_out(front)
        self._fill(base)
        for name, field in self.fields.items():
            field.heard(lambda *_, name=name: self._hear(name))
        self.free.textChanged.connect(lambda *_: self._hear("free"))

    def settings(self) -> Settings:
        """What is set; a UsageError says what is wrong with it."""
        values = {name: field.get() for name, field in self.fields.items()}
        try:
            free = tuple(shlex.split(self.free.text()))
        except ValueError as error:
            raise UsageError(f"words: {self.free.text()}: {error}; expected section.key=value ...") from None
        return schema.settled(self.base, values, free)

    def rebase(self, base: Settings) -> None:
        """Another image assumes other values: fields that nobody has touched follow."""
        before, self.base, self._quiet = self.base, base, True
        for name, field in self.fields.items():
            if field.get() == schema.value_of(before, name):
                field.put(schema.value_of(base, name))
        self._quiet = False

    def check(self) -> Settings | None:
        """The settings, or None, with what is wrong shown under the form."""
        try:
            found = self.settings()
        except UsageError as error:
            self.problem.setText(f"✗ {error}")
            self.problem.show()
            return None
        self.problem.clear()
        self.problem.hide()
        return found

    def _fill(self, settings: Settings) -> None:
        for name, field in self.fields.items():
            field.put(schema.value_of(settings, name))

    def _hear(self, name: str) -> None:
        if self._quiet:
            return
        objective = self.fields["training.objective"]
        if name.startswith("masking.") and objective.get() == "auto":
            objective.put("masked")  # nothing else looks at masking; the command line takes it so, too
        self._changed()

    def _lay_out(self, front: Sequence[str]) -> None:
        layout = QVBoxLayout(self.native)
        layout.setContentsMargins(0, 0, 0, 0)
        known = schema.entries()
        panel.form(layout, [(known[name].label, self.fields[name].widget) for name in front])
        more = QCollapsible("More settings")
        inside = QWidget()
        column = QVBoxLayout(inside)
        for section in Settings.model_fields:
            names = [name for name in known if name.startswith(f"{section}.") and name not in front]
            if names:
                column.addWidget(QLabel(f"<b>{section}</b>"))
                panel.form(column, [(known[name].label, self.fields[name].widget) for name in names])
        more.addWidget(inside)
        layout.addWidget(more)
        panel.form(layout, [("words", self.free)])
        layout.addWidget(self.problem)
        self.problem.hide()


def _field(entry: Entry) -> Field:
    made = MAKERS[entry.kind](entry)
    parts = (entry.description, entry.range, f"default: {entry.default or entry.empty}", f"[{entry.name}]")
    made.widget.setToolTip("\n".join(part for part in parts if part))
    made.widget.setAccessibleName(entry.name)
    made.widget.setAccessibleDescription(entry.description)
    return made


def _switch(entry: Entry) -> Field:
    box = QCheckBox()
    return Field(box, lambda: str(box.isChecked()), lambda value: box.setChecked(value == "True"), box.toggled.connect)


def _choice(entry: Entry) -> Field:
    box = _still(panel.narrow(QComboBox()))
    for choice in entry.choices:
        box.addItem({"": entry.empty, "True": "yes", "False": "no"}.get(choice, choice), choice)
    return Field(
        box, lambda: str(box.currentData()), lambda value: box.setCurrentIndex(box.findData(value)),
        box.currentIndexChanged.connect,
    )  # fmt: skip


def _named(entry: Entry) -> Field:
    """A choice that also takes what it does not list, such as cuda:1."""
    box = _still(panel.narrow(QComboBox()))
    box.setEditable(True)
    box.addItems(entry.choices)
    return Field(box, box.currentText, box.setCurrentText, box.currentTextChanged.connect)


def _whole(entry: Entry) -> Field:
    box = _still(QSpinBox())
    box.setRange(math.ceil(entry.low or 0), math.floor(min(entry.high or schema.LARGEST, schema.LARGEST)))
    return Field(box, lambda: str(box.value()), lambda value: box.setValue(int(value)), box.valueChanged.connect)


def _number(entry: Entry) -> Field:
    box = _still(QDoubleSpinBox())
    decimals = 2 + max(0, math.ceil(-math.log10(float(entry.default) or 1.0)))
    box.setDecimals(decimals)
    box.setRange(max(entry.low or 0.0, 0.0 if entry.default == "0" else 10.0**-decimals), entry.high or 1e6)
    box.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
    return Field(
        box, lambda: schema.text(float(box.value())), lambda value: box.setValue(float(value)), box.valueChanged.connect
    )


def _text(entry: Entry) -> Field:
    line = QLineEdit()
    line.setPlaceholderText(entry.default or entry.empty)
    return Field(line, lambda: str(line.text()).strip(), line.setText, line.textChanged.connect)


def _still(box: Any) -> Any:
    """Turning the wheel scrolls the panel; it does not change a value that the pointer happens to be over."""
    box.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    box.wheelEvent = lambda event: event.ignore()
    return box


MAKERS: dict[str, Callable[[Entry], Field]] = {
    "switch": _switch,
    "choice": _choice,
    "named": _named,
    "whole": _whole,
    "number": _number,
    "text": _text,
}
