"""TCF, the HDF5 layout of holotomography instruments: reading all known encodings, writing by clone-and-patch."""

from meeum.io.tcf.reader import read
from meeum.io.tcf.writer import write

__all__ = ["read", "write"]
