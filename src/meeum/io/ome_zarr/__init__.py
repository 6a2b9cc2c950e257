"""OME-Zarr (NGFF 0.4 and 0.5): a folder of compressed chunks with coarser versions of the image beside it."""

from meeum.io.ome_zarr.reader import levels, read
from meeum.io.ome_zarr.writer import write

__all__ = ["levels", "read", "write"]
