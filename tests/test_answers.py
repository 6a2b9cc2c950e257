"""Answers to added noise: an uncertain level is set right by them; training on clipped images ends."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from meeum import Volume, answers, phantom, preparation
from meeum.answers import true_over_assumed, turned
from meeum.networks import build
from meeum.noise import Noise, measure
from meeum.noise.measure import EMPTY, ROUGH, TRAINED
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
def test_answers_give_the_true_power(true: float, assumed: float, alpha: float) -> None:
    """What training with noise of the wrong power ends in, in closed form."""
    answer = np.array([(true - assumed) / (true + alpha**2 * assumed)])
    assert math.isclose(float(true_over_assumed(answer, alpha)[0]) * assumed, true, rel_tol=1e-6)


def white(std: float) -> tuple[Volume, Noise]:
    """An image of nothing but white noise of 1, and a measurement that says `std`."""
    values = np.random.default_rng(0).standard_normal((96, 96)).astype(np.float32)
    volume = Volume(values, "YX")
    return volume, replace(measure(volume), std=std, source=ROUGH)


@pytest.mark.parametrize("assumed", [2.0, 1.0, 0.5])
def test_noise_that_was_taken_for_more_or_less_is_set_right(assumed: float) -> None:
    volume, noise = white(assumed)
    words = ("objective=recorrupted", "steps=800", "patch=32", "batch=2")
    settings = chosen(*(f"training.{word}" for word in words), "network.network=shuffle")
    looks = list(preparation.borne_out([volume], settings, noise))
    found = looks[-1].noise
    assert found is not None and found.source == TRAINED
    assert 0.85 < found.std < 1.2
    steps = [look.step for look in looks]
    assert steps == list(range(0, steps[-1] + 1, answers.STEPS)) and steps[-1] <= looks[0].steps == 800


def test_a_crowded_field_is_prepared_with_the_noise_that_is_in_it() -> None:
    """Begun with more than twice the noise, a first training comes to as much as there is, or a little more."""
    volume = crowded()
    words = ("training.objective=auto", "training.steps=800", "network.network=shuffle")
    running = preparation.prepare([volume], chosen(*words))
    noise, guess = running.model.noise, measure(volume)
    assert noise is not None and noise.source == TRAINED and guess.source == ROUGH
    assert guess.std > 1.0e-3
    assert 0.8 * 4e-4 < noise.std < 0.7 * guess.std
    assert noise.uncertainty <= 0.12 < guess.uncertainty
    assert guess.evidence == 0 < noise.evidence <= 1
    assert "a first training" in running.model.reason
    assert running.state.step == 0  # the first training is not part of the run, but its weights are where it begins
    fresh = build("shuffle", running.model.shape, seed=running.settings.training.seed).state_dict()
    begun = running.model.network.state_dict()
    assert not any(torch.equal(begun[name], weights) for name, weights in fresh.items())
    assert all(torch.equal(begun[name], weights) for name, weights in running.state.network.state_dict().items())


def test_another_network_does_not_begin_with_the_weights_of_the_first_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was measured says U-Net, and that is what the first training had; what it bears out wants the other one."""
    volume, auto = crowded(), chosen("training.objective=auto", "training.steps=400", "training.batch=1")
    monkeypatch.setattr(answers, "STEPS", 2)
    monkeypatch.setattr(answers, "AWAKE", 20)
    begun = [now.begun for now in preparation.preparing([volume], auto) if now.begun]
    assert begun and begun[-1].settings.network.network == "unet"
    noise = begun[-1].noise
    other = preparation.assemble([volume], auto.changed("network", network="shuffle"), noise, begun=begun[-1])
    fresh = build("shuffle", other.model.shape, seed=auto.training.seed).state_dict()
    assert all(torch.equal(other.model.network.state_dict()[name], weights) for name, weights in fresh.items())


@pytest.mark.parametrize(
    ("planned", "if_guess", "if_not"), [(300, 0, 0), (400, 400, 0), (1400, 800, 0), (1500, 800, 500), (2400, 800, 800)]
)
def test_a_first_training_is_had_where_the_other_is_long_enough(planned: int, if_guess: int, if_not: int) -> None:
    assert [answers.steps_before(planned, guess=guess) for guess in (True, False)] == [if_guess, if_not]


def test_windows_in_which_the_least_is_let_through_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """One half of every patch is structure that a network passes on: the other half counts."""
    monkeypatch.setattr(answers, "WINDOW", 8)
    running = preparation.prepare([crowded()], chosen("training.objective=recorrupted", "training.steps=1"))

    def ask(batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        noise = torch.randn(batch.image.shape, generator=generator)
        through = torch.where(torch.arange(noise.shape[-1]) < 8, 0.8 * noise, -0.2 * noise)
        return noise, noise, through

    found = answers._answers(ask, running.pool, 0)
    assert found[2:] == pytest.approx(-0.2)
    assert found[:2].tolist() == [1, 1]  # no wave of a window is as long


def test_noise_that_was_measured_or_given_is_left_alone() -> None:
    empty = phantom.make(
        SHAPE, seed=0, settings=phantom.PhantomSettings(cells=1, noise_std=4e-3, noise_colour="white")
    ).noisy
    auto = chosen("training.objective=auto", "training.steps=500")
    measured = preparation.prepare([empty], auto).model.noise
    assert measured is not None and measured.source == EMPTY
    volume = crowded()
    short = preparation.prepare([volume], chosen("training.objective=auto", "training.steps=100")).model.noise
    assert short is not None and short.source == ROUGH  # too short for a first training to tell anything
    known = measure(volume)
    assert preparation.prepare([volume], auto, noise=known).model.noise is known
    masked = chosen("training.objective=masked", "masking.mask_size=5", "training.steps=1")
    assert preparation.prepare([volume], masked).model.noise is None


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

    def after(step: int) -> list[int | None]:
        running = preparation.prepare([volume], chosen(*words), noise=noise)
        assert running.most_steps is None  # steps that somebody asked for are taken
        full = max(float(level.max()) for level in running.pool.levels)

        def ask(network: Network, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
            noise = torch.ones_like(batch.image)
            backwards = (batch.level < 0.7 * full) == (running.state.step >= step)
            return noise, noise, torch.where(backwards, -noise, noise)

        return list(turned(running.state, running.pool, running.settings.training, running.objective, ask))

    assert [after(step) for step in (5, 25, 120)] == [[10], [None, None, 30], [None] * 9]


def test_a_clipped_image_is_trained_no_longer_than_that(monkeypatch: pytest.MonkeyPatch) -> None:
    made = phantom.PhantomSettings(cells=1, noise_std=4e-3, clip_non_negative=True)
    volume = phantom.make(SHAPE, seed=0, settings=made).noisy
    auto = chosen("training.objective=auto", "training.minutes=5")
    monkeypatch.setattr(answers, "turned", lambda *_: iter([None, 7]))
    running = preparation.prepare([volume], auto)
    assert running.most_steps == running.settings.training.steps == 7
    assert len(list(running.run())) == 7
    monkeypatch.setattr(answers, "turned", lambda *_: iter([None]))
    assert (preparation.prepare([volume], auto).settings.training.steps or 0) > 7


@pytest.mark.parametrize(
    ("turns", "begins", "ends"), [(None, 60, 75), (20, 0, 20), (50, 50, 60), (60, 60, 70)], ids=str
)
def test_both_trainings_on_a_clipped_image_take_the_time_of_one(
    turns: int | None, begins: int, ends: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 75 planned steps; nothing is read, drawn or measured anew."""
    made = phantom.PhantomSettings(cells=1, noise_std=4e-3, clip_non_negative=True)
    volume = phantom.make(SHAPE, seed=0, settings=made).noisy
    words = ("training.objective=recorrupted", "training.steps=75", "training.batch=1", "network.width=2")
    first = preparation.prepare([volume], chosen(*words))
    fresh = {name: value.clone() for name, value in first.state.network.state_dict().items()}
    monkeypatch.setattr(answers, "LOOK", 10)
    monkeypatch.setattr(answers, "TRIED", 60)
    monkeypatch.setattr(answers, "_beside_the_clip", lambda *_: -1 if first.state.step == turns else 1)
    *_, last = preparation._ended_in_time(first)
    second = last.session
    assert second is not None and second.pool is first.pool and second.objective is first.objective
    assert (second.state.step, second.settings.training.steps, second.most_steps) == (begins, ends, turns)
    begun = second.state.network.state_dict()
    assert all(torch.equal(begun[name], value) for name, value in fresh.items()) == (begins == 0)
    steps = [record.step for record in second.run()]
    assert steps == list(range(begins + 1, ends + 1)) and second.snapshot().step == ends
