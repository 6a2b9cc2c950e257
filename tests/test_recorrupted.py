"""The objectives that use the measured noise: what they draw, and how near they come to training with clean targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import scipy.ndimage
import torch

from meeum import Volume, api, preparation, training
from meeum.errors import UsageError
from meeum.noise import Noise, measure
from meeum.objectives import OBJECTIVES, Objective, Subject
from meeum.patches import Batch, Normalisation
from meeum.session import Session
from meeum.settings import Settings, override

SIDE = 96
WORDS = (
    "network.width=8",
    "training.steps=150",
    "training.patch=32",
    "training.batch=4",
    "training.precision=float32",
    "training.learning_rate=4e-3",
    "masking.masking=mean",
    "masking.mask_size=5",
)


def scene() -> np.ndarray:
    rng = np.random.default_rng(0)
    return 10 * scipy.ndimage.gaussian_filter(rng.standard_normal((SIDE, SIDE)), 5) * 8


def white(rng: np.random.Generator, signal: np.ndarray) -> np.ndarray:
    return rng.standard_normal(signal.shape)


def coloured(rng: np.random.Generator, signal: np.ndarray) -> np.ndarray:
    found = scipy.ndimage.gaussian_filter(rng.standard_normal(signal.shape), 1, mode="wrap")
    return found / found.std()


def growing(rng: np.random.Generator, signal: np.ndarray) -> np.ndarray:
    """Poisson-like: its variance is proportional to the signal above the darkest value."""
    return rng.standard_normal(signal.shape) * np.sqrt((signal - signal.min() + 1) / 8)


def psnr(truth: np.ndarray, found: np.ndarray) -> float:
    return float(10 * np.log10(np.ptp(truth) ** 2 / np.mean((found - truth) ** 2)))


def trained(image: Volume, objective: str, noise: Noise, truth: np.ndarray | None = None) -> np.ndarray:
    settings = override(Settings(), [*WORDS, f"training.objective={objective}"])
    running = preparation.prepare([image], settings, noise=noise)
    running = supervised(running, truth) if truth is not None else running
    for _ in running.run():
        pass
    return api.denoise(image, running.snapshot()).read()


def supervised(running: Session, truth: np.ndarray) -> Session:
    """The same session with the clean image for a target; it travels where levels do."""
    clean = torch.from_numpy(running.model.normalisation.apply(truth, np.ones(truth.shape, bool)))

    def loss(network: Callable[[torch.Tensor], torch.Tensor], batch: Batch, generator: torch.Generator) -> torch.Tensor:
        return ((network(batch.image[:, None])[:, 0] - batch.level) ** 2)[batch.allowed].mean()

    return replace(running, pool=replace(running.pool, levels=(clean,)), objective=loss)


@pytest.mark.parametrize(
    ("objective", "noise", "distance"),
    [
        ("recorrupted", white, 1.0),
        ("recorrupted", coloured, 1.5),
        ("recorrupted", growing, 1.0),
        ("sure", white, 1.0),
        ("masked", white, 2.5),
    ],
)
def test_near_to_supervised(objective: str, noise: Callable[..., np.ndarray], distance: float) -> None:
    """Within `distance` dB of the same network trained with the truth for as long; the noise's law is known."""
    truth, rng = scene(), np.random.default_rng(1)
    noisy = (truth + 2 * noise(rng, truth)).astype(np.float32)
    image = Volume(noisy, "YX")
    law = measure(Volume((2 * noise(rng, truth)).astype(np.float32), "YX"))
    law = measure(image) if noise is growing else law
    ceiling, found = psnr(truth, trained(image, objective, law, truth)), psnr(truth, trained(image, objective, law))
    before = psnr(truth, noisy)
    assert found > before + 2
    assert found > ceiling - distance, (before, found, ceiling)


def flat(**changes: object) -> Noise:
    base = Noise(2.0, np.ones((16, 9)), (16, 16), "nothing", (), 0.0, 0.0, "test", 1.0, 0.0, 0.02, 1.0)
    return replace(base, **changes)  # type: ignore[arg-type]


def objective(name: str, noise: Noise | None = None, alpha: float = 0.5) -> Objective:
    settings = Settings().changed("training", patch=(32, 32), alpha=alpha)
    return OBJECTIVES[name](settings, Subject("x", (64, 64), Normalisation(0.0, 1.0), noise or flat()))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_loss_of_known_networks(alpha: float) -> None:
    """For white noise of level 3: f = 0 loses |y|² + 9 / alpha², f = identity 9 (alpha + 1 / alpha)²."""
    image = torch.randn(64, 32, 32, generator=seeded(1))
    batch = Batch(image, torch.ones_like(image, dtype=torch.bool), torch.full_like(image, 3.0))
    loss = objective("recorrupted", alpha=alpha)
    nothing = float(loss(lambda x: 0 * x, batch, seeded()))
    assert nothing == pytest.approx(1 + 9 / alpha**2, rel=0.03)
    assert float(loss(lambda x: x, batch, seeded())) == pytest.approx(9 * (alpha + 1 / alpha) ** 2, rel=0.03)


def test_sure_of_known_networks() -> None:
    """Up to the noise's variance the risk: f = 0: |y|²; f = identity: 2 variances; f = y / 2: |y|² / 4 + 1 variance."""
    image = 3 * torch.randn(64, 32, 32, generator=seeded(1))
    batch = Batch(image, torch.ones_like(image, dtype=torch.bool), torch.full_like(image, 3.0))
    loss = objective("sure")
    assert float(loss(lambda x: 0 * x, batch, seeded())) == pytest.approx(9, rel=0.03)
    assert float(loss(lambda x: x, batch, seeded())) == pytest.approx(18, rel=0.03)
    assert float(loss(lambda x: x / 2, batch, seeded())) == pytest.approx(9 / 4 + 9, rel=0.03)


@pytest.mark.parametrize("name", ["recorrupted", "sure"])
def test_only_judged_voxels_count_and_chance_is_the_generators(name: str) -> None:
    image, allowed = torch.randn(4, 32, 32, generator=seeded(2)), torch.rand(4, 32, 32, generator=seeded(3)) < 0.5
    batch = Batch(image, allowed, torch.ones_like(image))
    loss = objective(name)
    one = float(loss(lambda x: x / 3, batch, seeded(4)))
    assert one == float(loss(lambda x: x / 3, batch, seeded(4))) != float(loss(lambda x: x / 3, batch, seeded(5)))
    poisoned = Batch(torch.where(allowed, image, 1e4), allowed, batch.level)
    assert float(loss(lambda x: x / 3, poisoned, seeded(4))) == pytest.approx(one, rel=1e-5)
    assert float(loss(lambda x: x, Batch(image, torch.zeros_like(allowed), batch.level), seeded())) == 0


def test_drawn_noise_is_coloured_like_the_measured_one() -> None:
    rng = np.random.default_rng(0)
    noise = measure(Volume(coloured(rng, np.zeros((200, 200))).astype(np.float32), "YX"))
    image = torch.zeros(40, 32, 32)
    batch = Batch(image, torch.ones_like(image, dtype=torch.bool), torch.ones_like(image))
    seen: list[torch.Tensor] = []
    objective("recorrupted", noise, alpha=1.0)(lambda x: (seen.append(x[:, 0]), x)[1], batch, seeded())
    drawn = seen[0]
    lag = float((drawn[..., 1:] * drawn[..., :-1]).mean() / (drawn**2).mean())
    assert lag == pytest.approx(np.exp(-1 / 4), abs=0.06)
    assert float(drawn.std()) == pytest.approx(1, abs=0.06)


def test_noise_is_drawn_once_for_all_that_is_made_of_a_subject(monkeypatch: pytest.MonkeyPatch) -> None:
    """And its spectrum is brought to the sides of the samples once."""
    asked: list[tuple[int, ...]] = []
    plain = Noise.spectrum_on
    monkeypatch.setattr(Noise, "spectrum_on", lambda noise, shape: (asked.append(shape), plain(noise, shape))[1])
    settings = override(Settings(), [*WORDS, "training.objective=recorrupted"])
    running = preparation.prepare([Volume(white(np.random.default_rng(0), scene()), "YX")], settings, noise=flat())
    asked.clear()
    running.subject.drawn.clear()
    next(running.run())
    training.validate(running.state.average, running.pool, running.error, running.settings.training)
    assert asked == [(64, 64)] and len(running.subject.drawn) == 1
    other = replace(running.subject, noise=flat(std=3.0))
    assert other.drawn == {}


def test_many_samples_are_those_drawn_one_by_one() -> None:
    noise = flat(spectrum=np.linspace(2, 0.1, 16 * 9).reshape(16, 9))
    many, rng = noise.samples(3, (20, 24), np.random.default_rng(1)), np.random.default_rng(1)
    assert many.dtype == np.float32
    np.testing.assert_array_equal(many, [noise.sample((20, 24), rng) for _ in range(3)])


def test_needs_a_measurement() -> None:
    settings = Settings().changed("training", patch=(32, 32))
    for name in ("recorrupted", "sure"):
        with pytest.raises(UsageError, match="measurement of the noise"):
            OBJECTIVES[name](settings, Subject("x", (64, 64), Normalisation(0.0, 1.0)))
