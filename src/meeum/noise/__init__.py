"""The noise of an image, measured from nothing but the image; needs no torch."""

from meeum.noise.measure import measure
from meeum.noise.noise import Noise

__all__ = ["Noise", "measure"]
