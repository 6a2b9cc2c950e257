"""The widget Compare: a grid of settings on one image, ranked; the one to take becomes a layer."""

from __future__ import annotations

import html
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QCheckBox, QComboBox, QHeaderView, QLineEdit, QSpinBox, QTreeWidget, QTreeWidgetItem

from meeum.auditing.table import DASH, number
from meeum.errors import MeeumError
from meeum.napari_plugin import asked, errands, layers
from meeum.napari_plugin.asked import Comparing
from meeum.napari_plugin.choice import LayerChoice
from meeum.napari_plugin.errands import Told
from meeum.napari_plugin.form import Form
from meeum.napari_plugin.panel import FolderChoice, column, words
from meeum.napari_plugin.work import Work, complain
from meeum.settings import Settings, assumed

PRESETS = ("objectives", "note", "")  # a test compares them with `comparing.grid.PRESETS`
FRONT = ("training.minutes", "input.projection")


class ComparePanel:
    """Dock widget; `native` is what Qt shows."""

    def __init__(self, napari_viewer: Any) -> None:
        self.viewer = napari_viewer
        self.choice = LayerChoice(napari_viewer, self._rebase)
        self.preset, self.vary, self.seeds = QComboBox(), QLineEdit(), QSpinBox()
        for name in PRESETS:
            self.preset.addItem(name or "none", name)
        self.vary.setPlaceholderText("section.key=a,b,c …")
        self.vary.setToolTip("Every combination of these values, on top of the preset or instead of it")
        self.seeds.setRange(1, 20)
        self.seeds.setToolTip("Runs of each setting, which differ by chance alone")
        self.folder, self.overwrite = FolderChoice("folder of all runs"), QCheckBox("begin anew")
        self.form = Form(Settings(), self._update, front=FRONT)
        self.work = Work("Compare", self.start, self._hear)
        self.table, self.sentence = QTreeWidget(), words()
        self.begun: Comparing | None = None
        self.native = column(self, self._rows(), [self.form.native, self.work.native, self.table, self.sentence])
        self._prepare()
        self._rebase()

    def _rows(self) -> list[tuple[str, Any]]:
        return [
            ("image", self.choice.native),
            ("preset", self.preset),
            ("vary", self.vary),
            ("seeds", self.seeds),
            ("folder", self.folder.native),
            ("", self.overwrite),
        ]

    def _prepare(self) -> None:
        self.table.setHeaderLabels(["setting", "", "error", "gain, dB", "fails"])
        self.table.header().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.table.setRootIsDecorated(False)
        self.table.setMinimumHeight(220)
        self.table.headerItem().setToolTip(2, "Estimated error, in the image's units")
        self.table.headerItem().setToolTip(4, "Findings of the audit that fail")
        self.table.hide()
        heard = (self.preset.currentIndexChanged, self.vary.textChanged, self.seeds.valueChanged)
        for signal in (*heard, self.folder.line.textChanged, self.overwrite.toggled):
            signal.connect(lambda *_: self._update())

    def errand(self) -> Comparing:
        """What is asked for; a UsageError says what is wrong with it."""
        image = self.choice.image()
        try:
            varied = tuple(shlex.split(self.vary.text()))
        except ValueError as error:
            raise MeeumError(f"vary: {self.vary.text()}: {error}; expected section.key=a,b,c") from None
        preset = self.preset.currentData() or None
        folder = self.folder.path or Path("compared")
        seeds, overwrite = self.seeds.value(), self.overwrite.isChecked()
        return Comparing(image, self.form.settings(), folder, preset, varied, seeds, overwrite=overwrite)

    def start(self) -> None:
        """Begin, or say why not."""
        try:
            errand = self.errand()
        except MeeumError as error:
            complain(str(error))
            return
        self.begun = replace(errand, stop=lambda: self.work.stopping)
        self.table.hide()
        self.sentence.clear()
        self.work.start(lambda: errands.compare(self.begun) if self.begun else iter(()))

    def _hear(self, told: Told) -> None:
        if told.stage == "done" and told.result is not None:
            self._show(told.result)

    def _show(self, result: Any) -> None:
        """The table, the sentence, and the result of the setting to take."""
        self.table.clear()
        taken = result.chosen.name if result.chosen else ""
        ties = result.ranking.ties if result.ranking else ()
        for one in result.standings:
            mark = "✓ take" if one.name == taken else "= tie" if one.name in ties else ""
            gain = f"{one.gain_db:.1f}" if one.gain_db == one.gain_db else DASH
            cells = ["✗ did not run", "", ""] if one.problem else [number(one.rmse), gain, str(len(one.fails))]
            self.table.addTopLevelItem(QTreeWidgetItem([one.name, mark, *cells]))
        self.table.show()
        self.sentence.setText("<br>".join(html.escape(line) for line in (result.sentence, *result.cautions)))
        if taken and self.begun:
            self._add(taken, self.begun)

    def _add(self, taken: str, begun: Comparing) -> None:
        """The denoised image of the setting to take, of its first seed."""
        from meeum.comparing import scores

        image = begun.image.volume
        clean = scores.denoised(begun.folder / f"{taken}-seed0", no_data=image.no_data)
        limits = layers.image_limits(asked.chosen(begun.image, begun.settings.input), clean)
        shown = layers.opened(clean, clean.source, words=["input.dataset=output"])
        data, attributes, _ = layers.image_layer(shown, f"{self.choice.name} {taken}", limits)
        self.viewer.add_image(data, **attributes)

    def _rebase(self) -> None:
        try:
            image = self.choice.image()
        except MeeumError as error:
            self.work.say(str(error))
            return
        self.work.say("" if image.file else "Comparing needs an image in a file: save this layer, then open it.")
        self.folder.suggest(asked.place_for(image, "_compared"))
        self._update()

    def _update(self) -> None:
        """The command line follows what is set."""
        settings = self.form.check()
        try:
            image = self.choice.image()
            if settings is not None:
                self.form.rebase(assumed(asked.frame_shape(image, settings)))
            self.work.show_command(asked.compare_command(self.errand(), out=self.folder.path))
        except MeeumError as error:
            self.work.show_command(f"({error})")
