"""The stages of a run, and what a person calls them."""

STAGES = {
    "prepare": "Preparing",
    "train": "Training",
    "denoise": "Denoising",
    "write": "Writing results",
    "audit": "Audit",
    "report": "Writing report",
}
