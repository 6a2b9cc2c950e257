"""meeum in napari: readers, writers, sample data, and the widgets Denoise, Audit and Compare."""
