"""The Python verbs: what they take, and what they show of what they return."""

from pathlib import Path

import numpy as np
import pytest
import torch

import meeum
from meeum import api, phantom
from meeum.settings import assumed, override

SHAPE = (8, 24, 24)
WORDS = ("training.steps=2", "training.patch=8,16,16", "training.batch=1", "training.precision=float32")


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    torch.set_num_threads(1)
    return phantom.make(SHAPE, seed=0).noisy.read()


@pytest.fixture
def file(values: np.ndarray, tmp_path: Path) -> Path:
    np.save(tmp_path / "cell.npy", values)
    return tmp_path / "cell.npy"


def test_verbs_take_arrays_and_files_as_they_take_volumes(values: np.ndarray, file: Path) -> None:
    settings = override(assumed(SHAPE), (*WORDS, "network.width=2"))
    noise = meeum.measure_noise(meeum.read(file))
    found = []
    for given in (meeum.read(file), values, file, str(file)):
        assert meeum.measure_noise(given).std == noise.std
        model = meeum.train(given, settings, noise=noise)
        found.append((meeum.denoise(given, model).read(), meeum.score(given, model).mse))
    for clean, risk in found[1:]:
        assert np.array_equal(clean, found[0][0])
        assert risk == found[0][1]


def test_a_list_is_several_images(values: np.ndarray, file: Path) -> None:
    settings = override(assumed(SHAPE), (*WORDS, "network.width=2"))
    assert meeum.train([values, file], settings, noise=meeum.measure_noise(file)).step == 2
    assert meeum.measure_noise(values, np.roll(values, 1)).std > 0


@pytest.mark.parametrize("wrong", [3, None, [[1.0, 2.0]]])
def test_what_is_no_image_is_refused(wrong: object) -> None:
    for verb in (meeum.train, meeum.measure_noise):
        with pytest.raises(meeum.UsageError, match="expected an image"):
            verb(wrong)


def test_verbs_are_listed() -> None:
    assert {"read", "train", "denoise", "audit", "view", "__version__"} <= set(dir(meeum))


def test_a_volume_is_an_array(values: np.ndarray, file: Path) -> None:
    volume = meeum.read(file)
    assert np.array_equal(np.asarray(volume), values)
    assert np.asarray(volume, dtype=np.float64).dtype == np.float64
    assert np.mean(volume) == values.mean()
    with pytest.raises(ValueError, match="copy"):
        volume.__array__(copy=False)


def test_results_are_shown_in_a_line(values: np.ndarray) -> None:
    noise = meeum.measure_noise(values)
    audit = meeum.audit(values, values, noise=noise)
    assert repr(noise).startswith(f"<Noise: std {noise.std:.4g} ")
    assert repr(audit).startswith(f"<Audit of array against array: {audit.verdict} (")
    assert repr(audit.findings[0]).startswith(f"<Finding {audit.findings[0].measure}, ")
    for one in (noise, audit, *audit.findings):
        assert len(repr(one)) < 200
        assert "\n" not in repr(one)


def test_an_image_that_is_one_already_stays_as_it_is(values: np.ndarray) -> None:
    volume = api.image(values)
    assert api.image(volume) is volume
    assert volume.axes == "ZYX"
