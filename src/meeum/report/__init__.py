"""The report: pictures and numbers of a run in one offline file."""

from meeum.report.figures import preview
from meeum.report.html import RunFacts, write_report
from meeum.report.previews import Preview, write_previews

__all__ = ["Preview", "RunFacts", "preview", "write_previews", "write_report"]
