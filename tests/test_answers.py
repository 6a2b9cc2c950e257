"""Answers to added noise: a guessed level is lowered to what a network bears out; training on clipped images ends."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from meeum import Volume, answers, phantom, session
from meeum.answers import borne_out, turn
from meeum.noise import Noise, measure
from meeum.noise.measure import LOWERED, ROUGH
from meeum.objectives import Network
from meeum.patches import Batch
from meeum.settings import Settings, override

SHAPE = (24, 64, 64)
WORDS = ("network.width=8", "training.patch=16", "training.precision=float32", "training.minutes=60")


def crowded(std: float = 4e-4) -> Volume:
    chosen = phantom.PhantomSettings(cells=9, noise_std=std)
    return phantom.make(SHAPE, seed=0, settings=chosen).noisy


def chosen(*words: str) -> Settings:
    return override(Settings(), [*WORDS, *words])


@given(st.floats(0.01, 100), st.floats(0.01, 100), st.floats(0.1, 2))
def test_answers_of_the_wrong_sign_give_the_true_power(true: float, assumed: float, alpha: float) -> None:
    """What training with too much noise ends in, in closed form; noise assumed too weak stays as it is."""
    answer = np.array([(true - assumed) / (true + alpha**2 * assumed)])
    share = float(borne_out(answer, alpha)[0])
    assert math.isclose(share * assumed, min(true, assumed), rel_tol=1e-6)


def white(std: float) -> tuple[Volume, Noise]:
    """An image of nothing but white noise of 1, and a measurement that says `std`."""
    values = np.random.default_rng(0).standard_normal((96, 96)).astype(np.float32)
    volume = Volume(values, "YX")
    return volume, replace(measure(volume), std=std)


@pytest.mark.parametrize(("assumed", "low", "high"), [(2.0, 0.9, 1.3), (1.0, 0.85, 1.0001), (0.5, 0.45, 0.5001)])
def test_too_much_is_lowered_and_no_more_than_that(assumed: float, low: float, high: float) -> None:
    volume, noise = white(assumed)
    words = (
        "training.objective=recorrupted",
        "training.steps=480",
        "training.patch=32",
        "training.batch=2",
        "network.network=shuffle",
    )
    found = session.lowered([volume], chosen(*words), noise)
    assert low < found.std < high
    assert found.source == LOWERED


def test_a_crowded_field_is_prepared_with_noise_that_was_lowered() -> None:
    volume = crowded()
    words = ("training.objective=auto", "training.steps=400", "network.network=shuffle")
    running = session.prepare([volume], chosen(*words))
    noise, guess = running.model.noise, measure(volume)
    assert noise is not None and noise.source == LOWERED and guess.source == ROUGH
    assert 4e-4 < noise.std < 0.9 * guess.std
    assert "a first training" in running.model.reason
    assert running.state.step == 0  # the first training is not part of the run


def test_noise_that_was_measured_or_given_is_left_alone() -> None:
    empty = phantom.make(SHAPE, seed=0, settings=phantom.PhantomSettings(cells=1, noise_std=4e-3)).noisy
    auto = chosen("training.objective=auto", "training.steps=1")
    measured = session.prepare([empty], auto).model.noise
    assert measured is not None and measured.source != LOWERED
    volume = crowded()
    known = measure(volume)
    assert session.prepare([volume], auto, noise=known).model.noise is known
    masked = chosen("training.objective=masked", "masking.mask_size=5", "training.steps=1")
    assert session.prepare([volume], masked).model.noise is None


def test_a_first_training_tells_when_noise_beside_a_clip_is_answered_the_wrong_way_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only where the level is lowered does the answer count; no more steps are tried than planned."""
    made = phantom.PhantomSettings(cells=1, noise_std=4e-3, clip_non_negative=True)
    volume = phantom.make(SHAPE, seed=0, settings=made).noisy
    noise = measure(volume)
    assert noise.clip is not None
    words = ("training.objective=recorrupted", "training.steps=100", "training.batch=1")
    monkeypatch.setattr(answers, "LOOK", 10)

    def after(step: int) -> int | None:
        running = session.prepare([volume], chosen(*words), noise=noise)
        assert running.most_steps is None  # steps that somebody asked for are taken
        full = max(float(level.max()) for level in running.pool.levels)

        def ask(network: Network, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
            noise = torch.ones_like(batch.image)
            turned = (batch.level < 0.7 * full) == (running.state.step >= step)
            return noise, noise, torch.where(turned, -noise, noise)

        return turn(running.state, running.pool, running.settings.training, running.objective, ask)

    assert [after(step) for step in (5, 25, 120)] == [10, 30, None]


def test_a_clipped_image_is_trained_no_longer_than_that(monkeypatch: pytest.MonkeyPatch) -> None:
    made = phantom.PhantomSettings(cells=1, noise_std=4e-3, clip_non_negative=True)
    volume = phantom.make(SHAPE, seed=0, settings=made).noisy
    auto = chosen("training.objective=auto", "training.minutes=0.05")
    monkeypatch.setattr(answers, "turn", lambda *_: 7)
    running = session.prepare([volume], auto)
    assert running.most_steps == running.settings.training.steps == 7
    assert len(list(running.run())) == 7
    monkeypatch.setattr(answers, "turn", lambda *_: None)
    assert (session.prepare([volume], auto).settings.training.steps or 0) > 7
