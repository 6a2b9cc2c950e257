"""`auto`: what the measured noise leads to, on phantoms whose noise is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.ndimage

from meeum import Volume, phantom, preparation
from meeum.noise import Noise, measure
from meeum.patches import Normalisation
from meeum.patches import measure as normalise
from meeum.routing import route
from meeum.settings import Settings, assumed

SHAPE = (24, 96, 96)


def routed(volume: Volume) -> tuple[Settings, str, Noise]:
    noise = measure(volume)
    return *route(assumed(volume.spatial_shape), noise, normalise([volume])), noise


def made(seed: int, colour: str) -> Volume:
    rng = np.random.default_rng(seed)
    chosen = phantom.PhantomSettings(
        noise_colour=colour,
        noise_std=float(10 ** rng.uniform(-3, -2.3)),
        cells=int(rng.integers(0, 3)),
        optics=str(rng.choice(["ht-2h", "ht-x1"])),
    )
    return phantom.make(SHAPE, seed=seed, settings=chosen).noisy


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("colour", "words"), [("white", "white"), ("optical", "correlated"), ("directional", "dir")])
def test_colour(seed: int, colour: str, words: str) -> None:
    settings, reason, noise = routed(made(seed, colour))
    assert settings.training.objective == ("thinning" if noise.is_white and noise.is_counted else "recorrupted")
    assert words in reason
    assert noise.is_white == (colour == "white")
    assert settings.training.swap == (colour != "directional")
    assert ("direction" in reason) == (colour == "directional")


@pytest.mark.parametrize("seed", range(8))
def test_signal_dependence(seed: int) -> None:
    """Photon counts of a phantom's maximum projections and planes."""
    rng = np.random.default_rng(seed)
    truth = phantom.make((24, 160, 160), seed=seed, settings=phantom.PhantomSettings(cells=3)).truth.read()
    signal = 20 + 4000 * np.maximum(truth.max(0) if seed % 2 else truth[12], 1.337) - 4000 * 1.337
    counts = rng.poisson(signal).astype(np.float32)
    settings, reason, noise = routed(Volume(counts, "YX"))
    assert settings.training.objective == "thinning" and "stronger where the signal is" in reason
    assert settings.network.network == "shuffle" and settings.prediction.flips
    assert abs(noise.gain - 1) < 0.3


def test_counting_noise_that_is_coloured_or_weaker_where_the_signal_is_is_not_dealt_out() -> None:
    white = known(follows="signal", gain=0.01)
    assert route(assumed((64, 64)), white, Normalisation(0.0, 5.0))[0].training.objective == "thinning"
    for other in (replace(white, spectrum=np.linspace(2, 0, 40).reshape(8, 5)), replace(white, gain=-0.01)):
        settings, reason = route(assumed((64, 64)), other, Normalisation(0.0, 5.0))
        assert settings.training.objective == "recorrupted" and "where the signal is" in reason


@pytest.mark.parametrize("seed", range(4))
def test_few_photons_are_thinned(seed: int) -> None:
    """Counts of about 3 per pixel times a gain of 7, in a plane of cells."""
    truth = phantom.make((24, 160, 160), seed=seed, settings=phantom.PhantomSettings(cells=3)).truth.read()[12]
    signal = 1 + 100 * np.maximum(truth - 1.337, 0)
    counts = 7 * np.random.default_rng(seed).poisson(signal)
    settings, reason, noise = routed(Volume(counts.astype(np.float32), "YX"))
    assert noise.photons == pytest.approx(signal.mean(), rel=0.4)
    assert settings.training.objective == "thinning"
    assert settings.prediction.flips and "few photons" in reason
    assert "objective" not in reason and route(settings, noise, normalise([Volume(counts, "YX")]))[1] == ""


@pytest.mark.parametrize("seed", range(4))
def test_salt_and_pepper(seed: int) -> None:
    values = made(seed, "white").read()[12].copy()
    rng = np.random.default_rng(seed)
    values[rng.random(values.shape) < 0.04] = 1.6
    values[rng.random(values.shape) < 0.04] = 1.2
    settings, reason, _ = routed(Volume(values, "YX"))
    assert (settings.training.objective, settings.training.loss) == ("masked", "absolute")
    assert settings.masking.masking == "median" and "far off" in reason
    assert settings.prediction.mixing and settings.prediction.flips


@pytest.mark.parametrize(("chosen", "expected"), [(None, True), (False, False)])
def test_what_is_not_far_off_is_kept_unless_somebody_chose(chosen: bool, expected: bool) -> None:
    asked = assumed((96, 96)).changed("prediction", mixing=chosen)
    settings, _ = route(asked, known(tails=5.0, rest_std=0.1), Normalisation(0.0, 1.0))
    assert settings.prediction.mixing is expected


def test_oblique_streaks_are_not_flipped() -> None:
    rng = np.random.default_rng(0)
    ky, kx = np.meshgrid(np.fft.fftfreq(128), np.fft.fftfreq(128), indexing="ij")
    power = 1 / (0.02 + (ky - kx) ** 2)
    values = np.fft.ifft2(np.fft.fft2(rng.standard_normal((128, 128))) * np.sqrt(power)).real
    settings, reason, _ = routed(Volume(values.astype(np.float32), "YX"))
    assert settings.training.turn in ("Z", "none") and "direction" in reason
    assert not settings.prediction.flips


def known(**changes: object) -> Noise:
    flat = Noise(1.0, np.ones((8, 5)), (8, 8), "nothing", (), 0.0, 0.0, "test", 1.0, 0.0, 0.02, 1.0)
    return replace(flat, **changes)  # type: ignore[arg-type]


def test_a_level_that_is_not_known_is_not_used() -> None:
    settings, reason = route(assumed((64, 64)), known(uncertainty=0.5), Normalisation(0.0, 5.0))
    assert settings.training.objective == "neighbours" and "50%" in reason
    assert settings.prediction.flips
    narrow = known(uncertainty=0.5, sides=(8, 2), spectrum=np.ones((8, 2)))
    assert route(assumed((64, 2)), narrow, Normalisation(0.0, 5.0))[0].training.objective == "recorrupted"


def test_strong_coloured_noise_gets_the_network_that_forgets_it() -> None:
    coloured = known(spectrum=np.linspace(2, 0, 40).reshape(8, 5))
    for noise, scale, expected in ((coloured, 2.0, "unet"), (coloured, 100.0, "shuffle"), (known(), 2.0, "shuffle")):
        settings, _ = route(assumed((64, 64)), noise, Normalisation(0.0, scale))
        assert settings.network.network == expected
    chosen = assumed((64, 64)).changed("network", width=5)
    assert route(chosen, known(), Normalisation(0.0, 2.0))[0].network == chosen.network


def test_detail_above_strong_coloured_noise_is_passed_across() -> None:
    coloured = known(spectrum=np.linspace(2, 0, 40).reshape(8, 5))
    for detail, expected in ((1.2, False), (5.0, True)):
        settings, _ = route(assumed((64, 64)), replace(coloured, detail=detail), Normalisation(0.0, 2.0))
        assert settings.network.network == "unet" and settings.network.top_skip == expected
    chosen = assumed((64, 64)).changed("network", width=5)
    kept, _ = route(chosen, replace(coloured, detail=5.0), Normalisation(0.0, 2.0))
    assert kept.network == chosen.network


def test_small_images_are_flipped_and_others_passed_twice() -> None:
    for voxels, expected in ((1_000_000, (True, False)), (100_000_000, (False, True))):
        settings, _ = route(assumed((64, 64)), known(), Normalisation(0.0, 5.0), voxels=voxels)
        assert (settings.prediction.flips, settings.prediction.displaced) == expected
    for unwanted, expected in ({"flips": False}, (False, True)), ({"flips": False, "displaced": False}, (False, False)):
        settings, _ = route(assumed((64, 64)).changed("prediction", **unwanted), known(), Normalisation(0.0, 5.0))
        assert (settings.prediction.flips, settings.prediction.displaced) == expected


@pytest.mark.parametrize(("shape", "window"), [((3, 64, 64), (3, 5, 5)), ((4, 64), (3, 5)), ((24, 64, 64), (5, 5, 5))])
def test_voxels_far_off_are_hidden_in_windows_that_fit(shape: tuple[int, ...], window: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    struck = np.where(rng.random(shape) < 0.05, 10 * rng.choice([-1, 1], shape), rng.normal(0, 0.1, shape))
    volume = Volume(struck.astype(np.float32), "ZYX"[-len(shape) :])
    noise = known(tails=9.0, rest_std=0.1, spectrum=np.ones((8, 5)), sides=(8, 8))
    if len(shape) == 3:
        noise = replace(noise, spectrum=np.ones((2, 8, 5)), sides=(2, 8, 8))
    settings = assumed(shape).changed("training", steps=1).changed("network", width=2)
    running = preparation.prepare([volume], settings, noise=noise)
    assert running.settings.masking.mask_size == window
    assert np.isfinite(next(running.run()).loss)


def test_what_was_asked_for_is_not_changed() -> None:
    asked = assumed((64, 64)).changed("training", objective="masked")
    assert route(asked, known(), Normalisation(0.0, 1.0)) == (asked, "")


def streaks(axis: int) -> Noise:
    """Noise that is correlated along one axis of a plane only."""
    values = scipy.ndimage.gaussian_filter1d(
        np.random.default_rng(0).normal(size=(128, 128)), 2, axis=axis, mode="wrap"
    )
    return measure(Volume(values.astype(np.float32), "YX"))


@pytest.mark.parametrize("objective", ["recorrupted", "sure"])
def test_patches_are_turned_as_the_noise_may_be_when_an_objective_was_chosen_too(objective: str) -> None:
    asked = assumed((64, 64)).changed("training", objective=objective)
    assert route(asked, known(), Normalisation(0.0, 1.0)) == (asked, "")
    routed, reason = route(asked, streaks(1), Normalisation(0.0, 1.0))
    assert routed == asked.changed("training", swap=False) and reason == ""
    oblique = known(spectrum=np.where(np.eye(8, 5) > 0, 8.0, 0.1))
    turned = route(asked, oblique, Normalisation(0.0, 1.0))[0]
    assert turned == asked.changed("training", turn="Z", swap=turned.training.swap)


def test_measured_once_and_kept_with_the_model() -> None:
    volume = made(0, "optical")
    settings = assumed(volume.shape).changed("training", steps=2, patch=(8, 16, 16)).changed("network", width=2)
    model = preparation.prepare([volume], settings).model
    assert model.noise is not None and model.settings.training.objective == "recorrupted"
    assert "correlated" in model.reason
