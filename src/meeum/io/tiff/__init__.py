"""TIFF: plain, ImageJ, OME and BigTIFF, read tile by tile, written plane by plane."""

from meeum.io.tiff.reader import read
from meeum.io.tiff.writer import write

__all__ = ["read", "write"]
