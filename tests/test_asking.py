"""The six questions: each statistic against planted cases, each conclusion against rows that say otherwise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.ndimage import uniform_filter

from meeum import phantom
from meeum.asking import (
    QUESTIONS,
    Bench,
    asking,
    blank,
    constraint,
    experiments,
    inversion,
    leak,
    planted,
    reconstruction,
    replication,
)
from meeum.asking.answer import conclude, over_seeds, paired
from meeum.asking.measures import (
    centre_gain,
    correlation,
    decibel,
    detail_kept,
    lock_in,
    noise_kept,
    panel,
    truth_slope,
)
from meeum.auditing import Picture
from meeum.errors import UsageError
from meeum.networks import NETWORKS


@dataclass(frozen=True)
class Fake(Bench):
    """A bench whose denoiser is a function of the noisy array and the words it was set up with."""

    made: Any = field(default=None)

    def train(self, noisy, words, *, seed, steps=None):
        def ask(values):
            return np.asarray(self.made(values, words), np.float32)

        return experiments.Trained(None, ask(noisy.read()), ask)


def rows_of(question, bench, given=None, seed=0):
    told = list(QUESTIONS[question].trial(bench, given, seed))
    assert any(isinstance(one, str) for one in told)
    return [one for one in told if isinstance(one, dict)], [one for one in told if isinstance(one, Picture)]


@pytest.fixture
def field_of(rng):
    truth = np.cumsum(rng.standard_normal((64, 64)), axis=0)
    return truth, truth + 0.3 * rng.standard_normal((64, 64))


def test_noise_kept_is_one_of_a_copy_and_nothing_of_the_truth(field_of):
    truth, noisy = field_of
    assert noise_kept(noisy, noisy, truth)[0] == pytest.approx(1)
    assert noise_kept(noisy, truth, truth)[0] == pytest.approx(0)
    kept, error = noise_kept(noisy, truth + 0.25 * (noisy - truth), truth)
    assert kept == pytest.approx(0.25)
    assert error < 1e-6


def test_centre_gain_is_the_kernel_s_middle(rng):
    noisy = rng.standard_normal((128, 128)).astype(np.float32)
    assert centre_gain(lambda v: v, noisy, 1.0, seed=0) == pytest.approx(1, abs=1e-4)
    assert centre_gain(lambda v: uniform_filter(v, 3), noisy, 1.0, seed=0) == pytest.approx(1 / 9, abs=0.02)
    assert centre_gain(np.zeros_like, noisy, 1.0, seed=0) == 0


def test_detail_and_slope_tell_blur_and_inversion(field_of):
    truth, _ = field_of
    assert detail_kept(truth, truth) == pytest.approx(1)
    assert detail_kept(uniform_filter(truth, 7), truth) < 0.3
    assert truth_slope(5 - 0.5 * truth, truth) == pytest.approx(-0.5)
    assert decibel(truth + 0.1 * np.ptp(truth), truth) == pytest.approx(20)


def test_lock_in_measures_amplitude_and_rest(rng):
    y = np.arange(96)[:, None]
    noise = 0.5 * rng.standard_normal((96, 96))
    image = 0.3 * np.cos(2 * np.pi * y / 9.14 + 1) + 0.02 * y + noise
    amplitude, rest = lock_in(image, np.ones(image.shape, bool), (1 / 9.14, 0.0))
    assert amplitude == pytest.approx(0.3, abs=0.03)
    assert rest == pytest.approx(0.5, abs=0.02)
    assert lock_in(image, np.ones(image.shape, bool), (0.0, 1 / 9.14))[0] < 0.05


def test_correlation_of_neighbours(rng):
    white = rng.standard_normal((64, 65))
    both = white[:, 1:] + white[:, :-1]
    assert correlation(both, np.ones(both.shape, bool), 1) == pytest.approx(0.5, abs=0.05)
    assert np.isnan(correlation(both, np.zeros(both.shape, bool), 1))


def test_a_panel_shows_all_planes_in_reading_order():
    shown = panel([np.full((4, 5), number) for number in range(5)])
    assert shown.shape == (11, 21)
    assert [shown[1, 1], shown[1, 9], shown[1, 17], shown[8, 1], shown[8, 9]] == [0, 1, 2, 3, 4]
    assert np.isnan(shown[8, 17]) and np.isnan(shown[5, 1])


def test_over_seeds_is_student_s_test():
    values = [0.2, 0.5, 0.4]
    found = over_seeds("x", values, null=0.1)
    expected = stats.ttest_1samp(values, 0.1)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert np.isnan(over_seeds("x", [0.2]).p_value)
    assert over_seeds("x", [0.2], error=0.1).p_value == pytest.approx(2 * stats.norm.sf(2))
    assert "one seed" in over_seeds("x", [0.2]).text


def test_paired_pairs_by_image_and_seed():
    rows = [
        {"image": "a", "seed": s, "setting": name, "v": v} for s, name, v in ((0, "p", 3), (0, "q", 1), (1, "p", 5))
    ]
    assert paired(rows, "v", one={"setting": "p"}, other={"setting": "q"}) == [2.0]


def test_replication_and_its_mean_are_inverse(rng):
    values = rng.standard_normal((4, 5, 6)).astype(np.float32)
    copied = replication.replicated(values, 3)
    assert copied.shape == (12, 15, 18)
    assert (copied[:3, :3, :3] == values[0, 0, 0]).all()
    np.testing.assert_allclose(replication.averaged(copied, 3), values, rtol=1e-6)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(experiments, "SIDE", 48)
    monkeypatch.setattr(experiments, "SOLID", (16, 32, 32))
    monkeypatch.setattr(planted, "SIDE", 128)
    monkeypatch.setattr(constraint, "LARGE", (16, 48, 48))


def twin(values, words):
    """Copies what is not hidden: a footprint of 0 leaves it the twin where there is one, else it blurs."""
    copies = values.shape[-1] // (48 if values.ndim == 2 else 32)
    return values if copies > 1 and "masking.footprint=0" in words else uniform_filter(values, 5 * copies)


def test_copying_the_twin_is_recognised(small, monkeypatch):
    monkeypatch.setattr(replication, "flat", lambda seed, noise: experiments.flat(seed, noise=noise, side=48))
    rows, pictures = rows_of(1, Fake(made=twin))
    flat = {(row["copies"], row["blind_spot"]): row for row in rows if row["image"] == "phantom"}
    assert flat[2, replication.ONE]["kept"] == pytest.approx(1)
    assert flat[3, replication.WIDE]["kept"] < 0.3
    assert len(pictures) == 2
    copied = conclude(QUESTIONS[1], [row for row in rows if row["image"] == "phantom"])
    assert copied.holds is False
    assert "twin to copy" in copied.conclusion
    honest = [{**row, "kept": 0.05} for row in rows]
    assert "not copied throughout" in conclude(QUESTIONS[1], honest).conclusion
    back = [{**row, "detail": 0.9 if row["copies"] == 3 else 0.2} for row in rows]
    assert conclude(QUESTIONS[1], back).holds is True


def blank_row(setting, *, made, seed=0):
    verdict, p_value = ("fail", 1e-9) if made else ("pass", 0.4)
    return {
        "image": "phantom",
        "noise": "white",
        "setting": setting,
        "seed": seed,
        "amplitude": 0.4 if made else 0.0,
        "p_value": p_value,
        "verdict": verdict,
        "period": 2.0 if made else None,
        "direction": "along x" if made else None,
        "input_amplitude": 0.0,
        "input_p_value": 1.0,
        "shift": 0.0,
        "shift_p_value": 1.0,
        "shift_verdict": "pass",
        "output_patterns": 0,
        "input_patterns": 0,
    }


def test_the_lattice_s_maker_is_named_only_where_the_control_is_caught():
    control, well = blank_row(blank.BAD, made=True), blank_row("UPS", made=False)
    clean = conclude(QUESTIONS[2], [control, well])
    assert clean.holds is False
    assert "none did" in clean.conclusion
    guilty = conclude(QUESTIONS[2], [control, blank_row("GPS", made=True)])
    assert guilty.holds is True
    assert "GPS: period 2 px along x, 0.4 sigma" in guilty.conclusion
    coherent = {**blank_row("mean", made=False), "output_patterns": 2}
    assert conclude(QUESTIONS[2], [control, coherent]).holds is True
    faint = {**blank_row("mean", made=False), "shift": 0.003, "shift_p_value": 1e-9}
    traced = conclude(QUESTIONS[2], [control, faint])
    assert traced.holds is False
    assert "the strongest 0.003 sigma, were measured in 1 more" in traced.conclusion
    blind = conclude(QUESTIONS[2], [blank_row(blank.BAD, made=False), well])
    assert blind.holds is None
    assert "nothing can be concluded" in blind.conclusion


def test_a_lattice_is_measured_in_what_is_laid_over_noise(monkeypatch):
    monkeypatch.setattr(blank, "SIDE", 64)
    monkeypatch.setattr(blank, "VARIANTS", {"UPS": (), "UPS, top skip": (), blank.BAD: ("bad",)})

    def made(values, words):
        smooth = 0.1 * uniform_filter(values, 3)
        return smooth + 0.2 * np.cos(2 * np.pi * np.arange(values.shape[-1]) / 5) if words else smooth

    rows, pictures = rows_of(2, Fake(made=made))
    bad = [row for row in rows if row["setting"] == blank.BAD]
    assert {row["noise"] for row in rows} == {"white", "optical"}
    assert all(row["verdict"] == "fail" and row["amplitude"] > 0.02 for row in bad)
    assert all(row["period"] == pytest.approx(5, rel=0.02) and row["direction"] == "along x" for row in bad)
    assert len(pictures) == 2


def test_a_planted_lattice_is_followed(small, monkeypatch):
    monkeypatch.setattr(planted, "SETTINGS", {"UPS": (), "G": (), "mean": (), "auto": ()})
    truth = experiments.flat(0, noise=0.5, side=128)
    lattice = planted.planted(0).values - truth.values

    def halves(values, words):
        return values - 0.5 * (values - truth.truth - lattice)  # half of the noise, all of the lattice

    rows, _ = rows_of(3, Fake(made=halves))
    before, after = (next(row for row in rows if row["setting"] == name) for name in ("input", "UPS"))
    assert before["amplitude"] == pytest.approx(planted.AMPLITUDE, rel=0.15)
    assert after["amplitude"] / before["amplitude"] == pytest.approx(1, abs=0.1)
    assert after["contrast"] / before["contrast"] == pytest.approx(2, rel=0.2)
    found = conclude(QUESTIONS[3], [{**row, "seed": seed} for row in rows for seed in range(3)])
    assert found.holds is True
    assert "no method made it" in found.conclusion
    larger = [{**row, "amplitude": row["amplitude"] * (1 if row["setting"] == "input" else 3)} for row in rows]
    assert conclude(QUESTIONS[3], larger).holds is False
    nothing = [{**row, "waves": 0} for row in rows if row["setting"] == "input"]
    assert conclude(QUESTIONS[3], nothing).holds is None


def test_gerchberg_papoulis_obeys_both_constraints():
    image = experiments.solid(0, noise=1 / 15, colour="optical")
    support = phantom.optical_support(image.values.shape, phantom.OPTICS["ht-2h"])
    medium = image.noisy.medium_index
    filled = reconstruction.gerchberg_papoulis(image.values, support, medium)
    assert filled.min() >= np.float32(medium)
    clipped = np.maximum(image.values, np.float32(medium))
    assert reconstruction.misfit(image.values, image.values, support) == 0
    few = reconstruction.gerchberg_papoulis(image.values, support, medium, iterations=2)
    fits = [reconstruction.misfit(one, image.values, support) for one in (clipped, few, filled)]
    assert fits[2] < 0.5 * fits[0]
    assert fits[2] < fits[1]


def test_constraints_are_compared_with_none(small):
    rows, pictures = rows_of(4, Fake(made=lambda values, words: values))
    assert len(rows) == 2 * 3 * 3 + 2 * 3
    volume = {row["reconstruction"]: row for row in rows if row["image"] == "volume" and row["state"] == "input"}
    assert volume[constraint.CLIPPED]["offset"] > volume[constraint.FREE]["offset"] + 0.1
    assert volume[constraint.CLIPPED]["pile_up"] > 0.1 > volume[constraint.FREE]["pile_up"]
    assert volume[constraint.ITERATED]["outside"] > volume[constraint.FREE]["outside"]
    none = [{**row, "lattices": 0} for row in rows]
    assert conclude(QUESTIONS[4], none).holds is False
    some = [{**row, "lattices": int(row["reconstruction"] == constraint.CLIPPED)} for row in rows]
    assert conclude(QUESTIONS[4], some).holds is True
    assert len(pictures) == 1


def test_the_leak_is_expected_where_the_best_linear_estimate_leaks():
    rng = np.random.default_rng(0)
    value = rng.standard_normal(200_000)
    seen = value + 2 * rng.standard_normal(200_000)
    assert leak.leak(2.0, 1.0) == pytest.approx(float(np.polyfit(seen, value, 1)[0]), abs=0.01)


def leak_rows(share):
    settings = [("UPS", np.nan), ("G 0.5 std", 1.0), ("G 4 std", 8.0), ("recorrupted", np.nan)]
    return [
        {"image": "phantom", "noise": "strong", "seed": seed, "setting": name, "kept": share(name) + 0.001 * seed}
        | {"mask_std_over_noise": std, "expected_leak": 1 / (1 + std**2), "psnr_before": 22.0, "psnr": 30.0}
        for seed in range(3)
        for name, std in settings
    ]


def test_g_leaks_or_does_not_as_the_numbers_say():
    leaks = conclude(QUESTIONS[5], leak_rows(lambda name: 0.5 if name == "G 0.5 std" else 0.02))
    assert leaks.holds is True
    assert "1 of 2 settings of G leak" in leaks.conclusion
    tight = conclude(QUESTIONS[5], leak_rows(lambda name: 0.02))
    assert tight.holds is False
    assert "No setting of G leaks" in tight.conclusion


def test_inversion_needs_the_sign_not_the_look(small, monkeypatch):
    monkeypatch.setattr(inversion, "DAMAGES", {})
    monkeypatch.setattr(inversion, "SCHEMES", {"UPS": (), "G": ()})
    monkeypatch.setattr(inversion, "STARTS", 1)
    rows, _ = rows_of(6, Fake(made=lambda values, words: 0.5 * values))
    assert not any(inversion.inverts(row) for row in rows)
    wrong = {**rows[0], "setting": inversion.CONTROL, "contrast": -1.0, "slope": -1.0}
    assert conclude(QUESTIONS[6], [*rows, wrong]).holds is False
    guilty = conclude(QUESTIONS[6], [{**rows[1], "contrast": -0.5, "slope": -0.2}, wrong])
    assert guilty.holds is True
    assert "A true inversion was found in G (1 of 1 trials, contrast down to -0.50" in guilty.conclusion
    assert conclude(QUESTIONS[6], rows).holds is None


def test_displays_move_grey_levels():
    values = np.array([0.0, 1.0, 2.0, 10.0])
    np.testing.assert_allclose(inversion.grey(values, (0, 100)), [0, 0.1, 0.2, 1])
    noisy = np.linspace(0, 1, 1001)
    shown = inversion.wrapped(np.array([0.5, 1.2]), noisy)
    assert shown[0] == pytest.approx(0.5, abs=0.01)
    assert shown[1] < 0.3
    cells = np.array([False, True])
    assert inversion.dark_cells(shown, cells, ~cells) == 1.0


def test_a_network_is_offered_for_as_long_as_needed():
    with experiments.offered("bad", experiments.Transposed):
        assert "bad" in NETWORKS
    assert "bad" not in NETWORKS


def test_the_same_is_not_trained_twice(monkeypatch):
    monkeypatch.setattr(experiments, "SMALL", {2: ("training.batch=1", "training.patch=16", "network.width=2")})
    assert experiments.bench(1).precision in ("float32", "bfloat16")
    image, bench = experiments.blank(48, seed=0), Bench(steps=1)
    first = bench.train(image.noisy, experiments.UPS, seed=0)
    assert bench.train(image.noisy, experiments.UPS, seed=0) is first
    assert bench.train(image.noisy, experiments.UPS, seed=1) is not first
    assert first.output.shape == (48, 48)


@pytest.mark.parametrize("number", sorted(QUESTIONS))
def test_every_question_says_what_it_must(number):
    question = QUESTIONS[number]
    assert question.number == number
    assert all(len(text) >= 20 for text in (question.text, question.hypothesis, question.prediction, question.doubt))
    assert conclude(question, []).holds is None


@pytest.mark.parametrize("number", [1, 3, 5, 6])
@pytest.mark.parametrize("axes", ["YX", "ZYX"])
def test_a_given_image_is_asked_without_a_truth(number, axes, rng, monkeypatch):
    monkeypatch.setattr(inversion, "DAMAGES", {})
    monkeypatch.setattr(inversion, "SCHEMES", {"UPS": (), "G": ()})
    monkeypatch.setattr(inversion, "SHORT", ())
    shape = (16, 64, 64)[-len(axes) :]
    values = rng.standard_normal(shape).astype(np.float32)
    values[..., 20:40, 20:40] += 5
    given = experiments.examined(experiments.Volume(values, axes))
    rows, _ = rows_of(number, Fake(made=lambda noisy, words: uniform_filter(noisy, 3)), given)
    told = conclude(QUESTIONS[number], rows)
    assert told.conclusion
    assert all("kept" not in row for row in rows)


def test_unknown_numbers_are_refused():
    with pytest.raises(UsageError, match="--question 9: there is no such question; known are 1 Is the signal"):
        list(asking(Bench(1), [9], seeds=[0]))
