"""Fixtures shared by all tests."""

from pathlib import Path

import numpy as np
import pytest
from browser import browser

__all__ = ["browser"]  # a fixture of a file of its own

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    """Real images with truth, kept beside the repository; tests that need them skip where they are absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"real images are not here ({SHARED_DATA} does not exist)")
    return SHARED_DATA


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
