"""The report: pictures and numbers of a run in one offline file."""

from meeum.report.evidence import refuse_evidence, write_evidence
from meeum.report.figures import preview
from meeum.report.html import RunFacts, write_report
from meeum.report.kept import audit as kept_audit
from meeum.report.previews import Preview, write_previews, write_removed
from meeum.report.provenance import FileFacts, file_facts, processor

__all__ = [
    "FileFacts",
    "Preview",
    "RunFacts",
    "file_facts",
    "kept_audit",
    "preview",
    "processor",
    "refuse_evidence",
    "write_evidence",
    "write_previews",
    "write_removed",
    "write_report",
]
