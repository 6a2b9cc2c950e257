"""The widget Denoise: an image, few settings (all others behind "More settings"), Run, and the result as new layers."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QPushButton, QWidget

from meeum.auditing import Audit
from meeum.errors import MeeumError
from meeum.napari_plugin import asked, errands, layers
from meeum.napari_plugin.asked import Denoising
from meeum.napari_plugin.choice import LayerChoice, go_to
from meeum.napari_plugin.errands import Told
from meeum.napari_plugin.findings import FindingsTable
from meeum.napari_plugin.form import Form
from meeum.napari_plugin.panel import FolderChoice, column
from meeum.napari_plugin.preview import Preview
from meeum.napari_plugin.work import Work, complain
from meeum.settings import Settings, assumed

NOT_KEPT = "not kept: only the layers stay"


@dataclass(frozen=True)
class _Begun:
    """What runs: the errand, its layer's name, and the folder that goes with it where no run is to be kept."""

    errand: Denoising
    name: str
    passing: Callable[[], object] | None = None  # removes it


class DenoisePanel:
    """Dock widget; `native` is what Qt shows."""

    def __init__(self, napari_viewer: Any) -> None:
        self.viewer = napari_viewer
        self.begun: _Begun | None = None
        self.choice = LayerChoice(napari_viewer, self._rebase)
        self.form = Form(Settings(), self._update)
        self.folder, self.overwrite = FolderChoice(NOT_KEPT), QCheckBox("replace an earlier run")
        self.work = Work("Denoise", self.start, self._hear)
        self.findings = FindingsTable(lambda volume, at: go_to(self.viewer, volume, at))
        self.preview = Preview(napari_viewer)
        self.onward = self._onward()
        rows = [("image", self.choice.native), ("run folder", self.folder.native), ("", self.overwrite)]
        self.native = column(
            self, rows, [self.form.native, self.work.native, self.onward, self.findings.native]
        )  # fmt: skip
        self.folder.line.textChanged.connect(lambda *_: self._update())
        self.overwrite.toggled.connect(lambda *_: self._update())
        self._rebase()

    def start(self) -> None:
        """Begin, or say why not."""
        errand = self.errand()
        if errand is None:
            return
        self.end()  # a training that was stopped and left
        passing = None
        if self.folder.path is None:
            place = mkdtemp(prefix="meeum-")
            passing = weakref.finalize(self, shutil.rmtree, place, ignore_errors=True)  # when closed, too
            errand = replace(errand, folder=Path(place) / "run")
        self.begun = _Begun(replace(errand, stop=lambda: self.work.stopping), self.choice.name, passing)
        self._go_on(errands.denoise)

    def errand(self) -> Denoising | None:
        """What is asked for; None where that is not yet clear, with the reason shown."""
        settings = self.form.check()
        try:
            image = self.choice.image()
        except MeeumError as error:
            complain(str(error))
            return None
        if settings is None:
            complain(self.form.problem.text())
            return None
        return Denoising(image, settings, self.folder.path or Path(), overwrite=self.overwrite.isChecked())

    def go_on(self) -> None:
        """Denoise with what is trained."""
        self._go_on(errands.denoise_so_far)

    def _go_on(self, verb: Any) -> None:
        begun = self.begun
        assert begun is not None
        self.onward.hide()
        self.findings.native.hide()
        self.preview.begin(begun.errand, begun.name)
        self.work.start(lambda: verb(begun.errand))

    def _hear(self, told: Told) -> None:
        if told.preview is not None:
            self.preview.show(told.preview)
        if told.stage == "stopped" and told.share > 0:  # something is trained
            self.onward.show()
        elif told.stage in ("stopped", "done", "failed"):
            if told.result is not None:
                self._show(told.result)
            self.end()

    def _show(self, audit: Audit) -> None:
        """The result beside the image it is of, with the same scale and limits."""
        begun = self.begun
        assert begun is not None
        file = None if begun.passing or audit.denoised.frame_count > 1 else begun.errand.folder / "results" / "0.hdf"
        run = None if begun.passing else begun.errand.folder
        noisy = layers.opened(audit.noisy)
        kept = file if file and file.is_file() else None
        denoised = layers.opened(audit.denoised, kept, words=["input.dataset=output"], run=run)
        judged = audit.as_dict()
        told = {"verdict": audit.verdict, "audit": judged}
        residual, _, clean = layers.pair_layers(noisy, denoised, told=told, prefix=f"{begun.name} ")
        spots = layers.spots_layer(judged, audit.noisy, f"{begun.name} hot spots")
        for data, attributes, kind in filter(None, (residual, clean, spots)):
            getattr(self.viewer, f"add_{kind}" if kind == "points" else "add_image")(data, **attributes)
        if begun.name in self.viewer.layers:
            self.viewer.layers[begun.name].contrast_limits = clean[1]["contrast_limits"]
        self.findings.show(audit)

    def end(self) -> None:
        """Leave what was begun."""
        self.preview.end()
        self.onward.hide()
        if self.begun and self.begun.passing:
            self.begun.passing()
        self.begun = None

    def _onward(self) -> Any:
        """After Stop: denoise with what is trained, or leave it."""
        box, use, leave = QWidget(), QPushButton("Denoise with what is trained"), QPushButton("Discard")
        row = QHBoxLayout(box)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(use)
        row.addWidget(leave)
        use.clicked.connect(lambda *_: self.go_on())
        leave.clicked.connect(lambda *_: self.end())
        box.hide()
        return box

    def _rebase(self) -> None:
        """Another image, or its projection: what is assumed follows its shape."""
        try:
            image = self.choice.image()
        except MeeumError as error:
            self.work.show_command("")
            self.work.say(str(error))
            return
        self.work.say("")
        self.folder.suggest(asked.place_for(image, "_meeum"))
        self._update()

    def _update(self) -> None:
        """The command line follows the form."""
        settings = self.form.check()
        try:
            image = self.choice.image()
        except MeeumError:
            return
        if settings is not None:
            self.form.rebase(assumed(asked.frame_shape(image, settings)))
            settings = self.form.check() or settings
            errand = Denoising(image, settings, Path(), overwrite=self.overwrite.isChecked())
            self.work.show_command(asked.denoise_command(errand, out=self.folder.path))
