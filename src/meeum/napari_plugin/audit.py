"""The widget Audit: a noisy and a denoised layer, judged; the verdicts as a table that leads to the places."""

from __future__ import annotations

from typing import Any

from meeum.auditing import Audit
from meeum.errors import MeeumError
from meeum.napari_plugin import asked, errands, layers
from meeum.napari_plugin.choice import LayerChoice, go_to
from meeum.napari_plugin.errands import Told
from meeum.napari_plugin.findings import FindingsTable
from meeum.napari_plugin.layers import Opened
from meeum.napari_plugin.panel import column
from meeum.napari_plugin.work import Work, complain
from meeum.report import kept


class AuditPanel:
    """Dock widget; `native` is what Qt shows."""

    def __init__(self, napari_viewer: Any) -> None:
        self.viewer = napari_viewer
        self.findings = FindingsTable(lambda volume, at: go_to(self.viewer, volume, at))
        self.noisy = LayerChoice(napari_viewer, self._update)
        self.denoised = LayerChoice(napari_viewer, self._update, prefer="denoised")
        self.work = Work("Audit", self.start, self._hear)
        self._judged = ""  # name of the layer
        rows = [("noisy", self.noisy.native), ("denoised", self.denoised.native)]
        self.native = column(self, rows, [self.work.native, self.findings.native])
        self._update()

    def pair(self) -> tuple[Opened, Opened]:
        """The chosen layers."""
        return self.noisy.image(), self.denoised.image()

    def start(self) -> None:
        """Begin, or say why not."""
        try:
            noisy, denoised = self.pair()
        except MeeumError as error:
            complain(str(error))
            return
        self._judged = self.denoised.name
        self.work.start(lambda: errands.audit(noisy.volume, denoised.volume, lambda: self.work.stopping))

    def _hear(self, told: Told) -> None:
        if told.result is not None:
            self._show(told.result)

    def _show(self, audit: Audit) -> None:
        self.findings.show(audit)
        spots = layers.spots_layer(audit.as_dict(), audit.noisy, f"{self._judged} hot spots")
        if spots:
            self.viewer.add_points(spots[0], **spots[1])
        if self._judged in self.viewer.layers:
            self.viewer.layers[self._judged].metadata.update(verdict=audit.verdict, audit=audit.as_dict())

    def _update(self) -> None:
        """The command line follows the choice; what a run has judged already is shown."""
        try:
            noisy, denoised = self.pair()
        except MeeumError:
            return
        self.work.show_command(asked.audit_command(noisy, denoised))
        layer = self.denoised.layer
        told = layer.metadata.get("audit") if layer is not None else None
        if told and noisy.volume.shape == denoised.volume.shape:
            pair = (noisy.volume, denoised.volume)
            self.findings.show(kept.audit(told, pair, None, where=f"layer {self.denoised.name}"))
        else:
            self.findings.native.hide()
