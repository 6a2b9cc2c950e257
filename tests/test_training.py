"""Training: resumed equals uninterrupted, the average is the average, validation does not waver, divergence is told."""

import copy
import math
from dataclasses import replace
from itertools import repeat

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from meeum import checkpoint, folder, pace, predict, preparation, results, session, training
from meeum.errors import MeeumError, UsageError
from meeum.objectives import Subject, masked
from meeum.optimiser import DECAY
from meeum.patches import HELD_OUT, TRAIN, Batch, Normalisation, draw
from meeum.settings import Settings
from meeum.volume import Volume

torch.set_num_threads(1)


def smooth(shape):
    """Waves a small network can learn: no voxel is far from what its neighbours say."""
    grid = np.meshgrid(*(np.linspace(0, 3 * np.pi, n) for n in shape), indexing="ij")
    return np.prod([np.cos(axis) for axis in grid], axis=0)


def noisy(shape=(48, 40), noise=0.4, seed=0):
    values = smooth(shape) + np.random.default_rng(seed).normal(0, noise, shape)
    return Volume(values.astype(np.float32), "ZYX"[-len(shape) :])


def chosen(**changes):
    """Settings of a tiny run; everything that would be measured is given."""
    tiny = {"steps": 8, "batch": 3, "patch": (16,), "precision": "float32", "device": "cpu", "held_out": 0.1}
    settings = Settings().changed("masking", masking="mean", mask_size=(3,))
    return settings.changed("network", width=2, depth=1).changed("training", **{**tiny, **changes})


def prepared(volume=None, **changes):
    return preparation.prepare([volume or noisy()], chosen(**changes))


def trained(started, steps=None):
    """Records of the next steps, or of all that are left."""
    records = []
    for record in started.run():
        records.append(record)
        if len(records) == steps:
            break
    return records


def tensors(model):
    return {**model.network.state_dict(), **model.state}


def told(record):
    """What a record says, less the time it took; nan as a word, so that records compare."""
    kept = {**vars(record)} if not isinstance(record, dict) else dict(record)
    kept.pop("seconds"), kept.pop("steps", None)
    return {key: "nan" if math.isnan(value) else value for key, value in kept.items()}


# --- stopping and going on


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("stops", [(1,), (3,), (2, 5), (7,)], ids=str)
def test_resumed_equals_uninterrupted_to_the_last_bit(tmp_path, precision, stops):
    whole = prepared(precision=precision)
    records = trained(whole)
    parts, going = [], prepared(precision=precision)
    for stop in stops:
        parts += trained(going, stop - len(parts))
        file = checkpoint.save(going.snapshot(), tmp_path / f"{stop}.safetensors")
        going = session.resume([noisy()], checkpoint.load(file))
    parts += trained(going)
    assert [told(record) for record in parts] == [told(record) for record in records]
    resumed, uninterrupted = going.snapshot(), whole.snapshot()
    assert resumed.step == uninterrupted.step == 8
    assert list(map(told, resumed.history)) == list(map(told, uninterrupted.history))
    assert tensors(resumed).keys() == tensors(uninterrupted).keys() and len(tensors(resumed)) > 40
    assert all(torch.equal(value, tensors(uninterrupted)[name]) for name, value in tensors(resumed).items())


def test_resuming_in_3d_is_exact_too(tmp_path):
    volume = noisy((12, 20, 18))
    whole, going = (prepared(volume, patch=(8, 16, 16), steps=4) for _ in range(2))
    trained(whole), trained(going, 2)
    going = session.resume([volume], checkpoint.load(checkpoint.save(going.snapshot(), tmp_path / "m.safetensors")))
    trained(going)
    assert checkpoint.weights_equal(going.snapshot(), whole.snapshot())
    assert whole.snapshot().step == 4


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (noisy((40, 40)), "of shape 48x40, but shape 40x40 given"),
        (noisy((48, 96)), "of shape 48x40, but shape 48x96 given"),
        (noisy(seed=1), "resuming goes on with the images that training began with, whose values have mean"),
    ],
)
def test_only_the_image_it_began_with_is_trained_on(tmp_path, other, words):
    going = prepared()
    trained(going, 2)
    saved = checkpoint.load(checkpoint.save(going.snapshot(), tmp_path / "m.safetensors"))
    with pytest.raises(UsageError, match=words):
        session.resume([other], saved)
    with pytest.raises(UsageError, match="but shape 48x40 and 48x40 given"):
        session.resume([noisy(), noisy(seed=1)], saved)
    assert session.resume([noisy()], saved).state.step == 2
    assert session.resume([other], replace(saved, images=())).state.step == 2  # of before shapes were kept


def test_a_snapshot_stays_what_it_was_while_training_goes_on():
    going = prepared()
    trained(going, 2)
    taken = going.snapshot()
    before = {name: value.clone() for name, value in tensors(taken).items()}
    history = len(taken.history)
    trained(going)
    assert taken.step == 2 and len(taken.history) == history == 2
    assert all(torch.equal(value, before[name]) for name, value in tensors(taken).items())


def test_a_run_that_is_done_does_nothing_more():
    done = prepared(steps=3)
    assert len(trained(done)) == 3
    before = copy.deepcopy(tensors(done.snapshot()))
    assert trained(done) == []
    assert all(torch.equal(value, before[name]) for name, value in tensors(done.snapshot()).items())


def test_the_same_seed_trains_the_same_whatever_the_global_generator_holds():
    results = []
    for disturbed, seed in ((1, 0), (2, 0), (1, 4)):
        torch.manual_seed(disturbed)
        state = torch.random.get_rng_state()
        going = prepared(seed=seed, steps=3)
        trained(going)
        assert torch.equal(torch.random.get_rng_state(), state)
        results.append(going.snapshot())
    assert checkpoint.weights_equal(results[0], results[1])
    assert not checkpoint.weights_equal(results[0], results[2])


# --- learning


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_loss_falls_and_the_image_gets_better(precision):
    volume = noisy(noise=0.5)
    going = prepared(volume, steps=120, batch=4, learning_rate=1e-2, precision=precision)
    records = trained(going)
    losses = [record.loss for record in records]
    validations = [record.validation for record in records if not math.isnan(record.validation)]
    assert np.mean(losses[-20:]) < 0.75 * np.mean(losses[:5])
    assert validations[-1] < validations[0]
    model = going.snapshot()
    ((region, denoised),) = predict.predict(volume, model, device="cpu")
    assert region == (slice(0, 48), slice(0, 40))
    truth = smooth((48, 40))
    assert ((denoised - truth) ** 2).mean() < 0.5 * ((volume.data - truth) ** 2).mean()


def test_records_count_steps_and_validate_every_so_often_and_at_the_end():
    records = trained(prepared(steps=81, batch=8, patch=(8,)))
    assert [record.step for record in records] == list(range(1, 82)) and {record.steps for record in records} == {81}
    asked = [record.step for record in records if not math.isnan(record.validation)]
    assert asked == [25, 50, 75, 81]
    seconds = [record.seconds for record in records]
    assert seconds == sorted(seconds) and seconds[0] > 0


def test_every_step_has_patches_and_masks_of_its_own_and_the_average_is_what_is_validated():
    going, shown = prepared(learning_rate=0.05), []

    def objective(network, batch, generator):
        if torch.is_grad_enabled():
            shown.append((batch.image, float(torch.rand(1, generator=generator))))
        return going.objective(network, batch, generator)

    records = trained(replace(going, objective=objective))
    assert len(shown) == 8 and len({draw for _, draw in shown}) == 8
    patches = {tuple(image.flatten().tolist()) for images, _ in shown for image in images}
    assert len(patches) == 8 * 3
    ask = (going.pool, going.objective, going.settings.training)
    assert training.validate(going.state.average, *ask) == records[-1].validation
    assert training.validate(going.state.network, *ask) != records[-1].validation


# --- schedule


def test_schedule_rises_for_a_twentieth_and_falls_as_half_a_cosine():
    values = [training.schedule(step, 1000) for step in range(1000)]
    assert values[0] == pytest.approx(1 / 50, rel=1e-3)
    assert values[24] == pytest.approx(0.5, rel=0.01)
    assert values[49] == pytest.approx(math.cos(math.pi * 49 / 2000) ** 2)
    assert values[500] == pytest.approx(0.5)
    assert values[750] == pytest.approx(0.5 - math.sqrt(0.5) / 2)
    assert 0 < values[-1] < 1e-5
    assert (np.diff(values[:50]) > 0).all() and (np.diff(values[49:]) < 0).all()


@pytest.mark.parametrize(("steps", "rise"), [(1, 1), (10, 1), (39, 1), (40, 2), (100_000, 100)])
def test_the_rise_is_never_empty_nor_long(steps, rise):
    cosine = [0.5 * (1 + math.cos(math.pi * step / steps)) for step in range(min(steps, 200))]
    given = [training.schedule(step, steps) / whole for step, whole in enumerate(cosine)]
    np.testing.assert_allclose(given, [min(1, (step + 1) / rise) for step in range(len(given))], rtol=1e-9)


def test_the_scheduled_rate_is_the_one_that_is_used():
    """The first step of Adam has the size of the learning rate, whatever the gradient."""
    going = prepared(steps=200, learning_rate=0.01)
    before = copy.deepcopy(going.state.network.state_dict())
    (record,) = trained(going, 1)
    assert record.learning_rate == pytest.approx(0.01 * training.schedule(0, 200)) == pytest.approx(0.001, rel=1e-3)
    kept = 1 - DECAY * record.learning_rate
    moved = max(
        float((now - kept * before[name]).abs().max()) for name, now in going.state.network.state_dict().items()
    )
    assert moved == pytest.approx(record.learning_rate, rel=1e-3)


# --- weight average


@pytest.mark.parametrize("width", [0.1, 0.5, 1.0])
def test_average_weights_follow_the_power_law(width):
    """Weights t of n count (t^p - (t - 1)^p) / n^p, p = 1 / width, as the products of all that is kept make it."""
    going = prepared(averaging=width, learning_rate=0.05)
    weights = list(going.state.network.parameters())
    seen = [[value.detach().double().clone() for value in weights] for _ in going.run()]
    power, n = 1 / width, len(seen)
    shares = [(t**power - (t - 1) ** power) / n**power for t in range(1, n + 1)]
    assert n == 8 and sum(shares) == pytest.approx(1)
    for index, average in enumerate(going.snapshot().network.parameters()):
        expected = sum(share * then[index] for share, then in zip(shares, seen, strict=True))
        np.testing.assert_allclose(average.detach().numpy(), expected.numpy(), rtol=1e-4, atol=1e-6)
        assert not np.allclose(average.detach().numpy(), seen[-1][index].numpy(), rtol=1e-4, atol=1e-6)


def test_the_model_holds_the_average_and_its_state_the_last_weights():
    going = prepared(learning_rate=0.05)
    trained(going)
    model = going.snapshot()
    for name, average in model.network.state_dict().items():
        assert torch.equal(average, going.state.average.state_dict()[name])
        assert torch.equal(model.state[f"last/{name}"], going.state.network.state_dict()[name])
        assert not torch.equal(average, model.state[f"last/{name}"])


# --- validation


def asked_by_validation(held_out, batch):
    """The batches validation shows to the objective, with what the generator of each would draw first."""
    going, shown = prepared(held_out=held_out, batch=batch, steps=1), []

    def objective(network, batch, generator):
        shown.append((batch, float(torch.rand(1, generator=generator))))
        return torch.tensor(float(len(shown)))

    value = training.validate(going.state.average, going.pool, objective, going.settings.training)
    return shown, value, going.pool


def test_validation_is_the_same_whenever_asked():
    going = prepared(learning_rate=1e-3)
    ask = (going.pool, going.objective, going.settings.training)
    untrained = copy.deepcopy(going.state.average)
    first = training.validate(untrained, *ask)
    torch.manual_seed(99)
    trained(going, 3)
    assert training.validate(untrained, *ask) == first
    assert training.validate(going.state.average, *ask) != first
    assert all(weight.grad is None for weight in untrained.parameters())


def test_validation_asks_about_sixteen_patches_of_held_out_voxels_only():
    shown, value, pool = asked_by_validation(0.1, 5)
    assert [len(batch.image) for batch, _ in shown] == [5, 5, 5, 1]
    judged = [int(batch.allowed.sum()) for batch, _ in shown]
    assert value == pytest.approx(np.average([1, 2, 3, 4], weights=judged)) and value < 2.4
    assert len({draw for _, draw in shown}) == 4
    held_out = set(pool.blocks[0][pool.roles[0] == HELD_OUT].tolist())
    for batch, _ in shown:
        assert batch.allowed.any() and set(batch.image[batch.allowed].tolist()) <= held_out


def test_validation_without_anything_held_out_asks_about_the_training_voxels():
    shown, value, pool = asked_by_validation(0.0, 16)
    assert value == 1 and (pool.roles[0] == TRAIN).all() and shown[0][0].allowed.all()


# --- the objective


def test_the_loss_is_the_mean_squared_error_at_the_sites_that_are_allowed():
    image = torch.randn(2, 20, 20, generator=torch.Generator().manual_seed(0))
    allowed = image > -0.5
    loss = masked(chosen(), Subject("cell.TCF", (20, 20), Normalisation(0.0, 1.0)))
    seen = []

    def network(shown):
        seen.append(shown)
        return torch.full_like(shown, 0.25)

    found = loss(network, Batch(image, allowed), torch.Generator().manual_seed(0)).detach()
    sites = seen[0][:, 0] != image  # no voxel of noise is exactly the mean of its neighbours
    assert seen[0].shape == (2, 1, 20, 20) and 10 < sites.sum() < 60 and allowed[sites].all()
    assert float(found) == pytest.approx(float(((image - 0.25) ** 2)[sites].mean()), rel=1e-5)


def test_a_batch_without_sites_has_no_loss_and_no_gradient():
    loss = masked(chosen(), Subject("cell.TCF", (20, 20), Normalisation(0.0, 1.0)))
    weight = torch.ones((), requires_grad=True)
    nothing = Batch(torch.randn(2, 20, 20), torch.zeros(2, 20, 20, dtype=torch.bool))
    found = loss(lambda shown: shown * weight, nothing, torch.Generator().manual_seed(0))
    found.backward()
    assert float(found.detach()) == 0 and float(weight.grad) == 0


# --- what goes wrong


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_diverging_loss_is_told_with_what_to_try(value):
    going = prepared(learning_rate=0.02)
    trained(going, 2)

    def objective(network, batch, generator):
        return network(batch.image[:, None]).mean() * value

    with pytest.raises(MeeumError) as told_so:
        next(replace(going, objective=objective).run())
    for words in ("diverged at step 3", "training.learning_rate=0.005", "training.precision=float32"):
        assert words in str(told_so.value)


def test_steps_that_were_never_planned_are_refused():
    going = prepared()
    with pytest.raises(MeeumError, match=r"training\.steps"):
        next(training.run(going.state, going.pool, going.objective, chosen(steps=None).training))


# --- planning by the clock


def planned(settings):
    going = prepared()
    before = copy.deepcopy(going.state.network.state_dict())
    found = pace.plan_steps(going.state, going.pool, going.objective, settings).training
    assert going.state.step == 0 and not going.state.history and not going.state.optimiser.state
    assert all(torch.equal(value, before[name]) for name, value in going.state.network.state_dict().items())
    return found


def test_measuring_the_speed_leaves_the_run_as_it_was():
    found = planned(chosen(steps=None, minutes=0.01, precision="auto"))
    assert found.steps >= 1 and found.precision in ("float32", "bfloat16")


def test_steps_fill_the_minutes_with_the_faster_precision(monkeypatch):
    seconds = {"float32": 0.5, "bfloat16": 0.2}
    monkeypatch.setattr(pace, "_timed_steps", lambda *given: repeat(seconds[given[-1]]))
    # Every 25 steps six batches are validated, at a third of a step each.
    with_validation = 1 + 6 / 3 / 25
    found = planned(chosen(steps=None, minutes=2, precision="auto"))
    assert found.steps * 0.2 * with_validation == pytest.approx(120, rel=0.01)
    assert planned(chosen(steps=None, minutes=2, precision="auto")).precision == "bfloat16"
    found = planned(chosen(steps=None, minutes=2, precision="float32"))
    assert found.steps * 0.5 * with_validation == pytest.approx(120, rel=0.01)
    assert planned(chosen(steps=7, minutes=2, precision="auto")).steps == 7
    seconds["bfloat16"] = 0.9
    assert planned(chosen(steps=None, minutes=2, precision="auto")).precision == "float32"


def test_a_machine_that_is_busy_for_some_steps_does_not_change_the_precision(monkeypatch):
    times = {"float32": [0.5] * 6, "bfloat16": [0.2, 0.9, 0.9, 0.2, 0.9, 0.9]}
    monkeypatch.setattr(pace, "_timed_steps", lambda *given: iter(times[given[-1]]))
    assert planned(chosen(steps=None, minutes=2, precision="auto")).precision == "bfloat16"


def test_a_precision_that_does_not_work_here_is_not_chosen(monkeypatch):
    step = training.take_step

    def failing(state, pool, objective, settings, rate):
        if settings.precision == "bfloat16":
            raise RuntimeError("no kernel for this")
        return step(state, pool, objective, settings, rate)

    monkeypatch.setattr(pace, "take_step", failing)
    assert planned(chosen(precision="auto")).precision == "float32"


# --- the estimated error, and patience


class Shrinking(torch.nn.Module):
    """A denoiser whose true error on white noise around a flat image is known: share² of the noise's variance."""

    def __init__(self, share):
        super().__init__()
        self.share = share

    def forward(self, image):
        return self.share * image


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0, 1.4])
def test_the_estimated_error_is_the_true_one(share):
    flat = Volume(np.random.default_rng(0).normal(0, 0.1, (256, 256)).astype(np.float32), "YX")
    going = preparation.prepare([flat], chosen(objective="recorrupted", batch=16, patch=(32,)))
    found = training.validate(Shrinking(share), going.pool, going.error, going.settings.training)
    assert found == pytest.approx(share**2, abs=0.08)


@pytest.mark.parametrize("objective", ["recorrupted", "masked"])
def test_the_estimated_error_is_the_true_one_in_streaks_too(objective):
    """A mean over neighbours along the streaks takes hardly any of them away."""
    values = gaussian_filter1d(np.random.default_rng(0).normal(0, 1, (256, 256)), 2, axis=1, mode="wrap")
    settings = chosen(objective=objective, patience=0.5, batch=16, patch=(32,), held_out=0.4)
    going = preparation.prepare([Volume((values / values.std()).astype(np.float32), "YX")], settings)
    smooth_rows = lambda image: torch.nn.functional.avg_pool2d(image, (1, 5), 1, (0, 2))  # noqa: E731
    batch = draw(replace(going.pool, turn=()), range(16), role=HELD_OUT, seed=0)
    true = float((smooth_rows(batch.image[:, None])[:, 0][batch.allowed] ** 2).mean() / (batch.level**2).mean())
    found = training.validate(smooth_rows, going.pool, going.error, going.settings.training)
    assert found == pytest.approx(true, abs=0.15)


def test_a_masked_objective_has_no_estimate_unless_patience_asks_for_it():
    assert prepared().error is None and prepared(patience=0.5).error is not None
    assert math.isnan(trained(prepared())[-1].error_left)
    assert math.isfinite(trained(prepared(objective="recorrupted"))[-1].error_left)


def patient(monkeypatch, errors, **changes):
    """A session whose estimated errors are planned, taken at every step."""
    monkeypatch.setattr(training, "LEAST_BETWEEN", 1)
    going = prepared(objective="recorrupted", **changes)
    steps = iter(errors)
    taken = training.validate
    planned = lambda network, pool, what, settings: (  # noqa: E731
        next(steps) if what is going.error else taken(network, pool, what, settings)
    )
    monkeypatch.setattr(training, "validate", planned)
    return going


def test_training_ends_when_patience_is_lost_and_keeps_the_best_weights(monkeypatch):
    going = patient(monkeypatch, [0.9, 0.5, 0.6, 0.7, 0.8, 0.4, 0.3, 0.2], patience=0.25)
    best = None
    for record in going.run():
        if record.step == 2:
            best = {name: value.clone() for name, value in going.state.average.state_dict().items()}
    assert going.state.step == 5  # three steps after the best: more than a quarter of eight
    kept = going.snapshot().network.state_dict()
    assert all(torch.equal(kept[name], value) for name, value in best.items())
    assert any(not torch.equal(kept[name], value) for name, value in going.state.average.state_dict().items())


def test_without_patience_the_last_weights_count(monkeypatch):
    going = patient(monkeypatch, [0.9, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1])
    assert len(trained(going)) == 8
    kept = going.snapshot().network.state_dict()
    assert all(torch.equal(kept[name], value) for name, value in going.state.average.state_dict().items())


def test_resumed_equals_uninterrupted_with_patience_too(tmp_path, monkeypatch):
    errors = [0.9, 0.5, 0.6, 0.7, 0.8, 0.4, 0.3, 0.2]
    whole = patient(monkeypatch, errors, patience=0.25)
    trained(whole)
    monkeypatch.undo()
    first = patient(monkeypatch, errors, patience=0.25)
    trained(first, 3)
    saved = checkpoint.load(checkpoint.save(first.snapshot(), tmp_path / "m.safetensors"))
    monkeypatch.undo()
    monkeypatch.setattr(training, "LEAST_BETWEEN", 1)
    going = session.resume([noisy()], saved)
    rest, taken = iter(errors[3:]), training.validate
    monkeypatch.setattr(
        training,
        "validate",
        lambda network, pool, what, settings: (
            next(rest) if what is going.error else taken(network, pool, what, settings)
        ),
    )
    trained(going)
    assert going.state.step == whole.state.step == 5
    assert checkpoint.weights_equal(going.snapshot(), whole.snapshot())
    assert all(torch.equal(v, whole.state.average.state_dict()[k]) for k, v in going.state.average.state_dict().items())


def test_a_model_that_patience_finished_is_not_trained_on(tmp_path, monkeypatch):
    going = patient(monkeypatch, [0.9, 0.5, 0.6, 0.7, 0.8, 0.4, 0.3, 0.2], patience=0.25)
    trained(going)
    running = checkpoint.load(checkpoint.save(going.snapshot(), tmp_path / "running.safetensors"))
    done = results.finish(tmp_path, going)
    again = session.resume([noisy()], checkpoint.load(tmp_path / folder.MODEL_FILE))
    assert not running.is_finished and done.is_finished and done.step == 5
    assert trained(again) == []
    assert checkpoint.weights_equal(again.snapshot(), done)


def test_patience_is_refused_where_the_error_cannot_be_estimated():
    few = np.random.default_rng(0).poisson(1 + 3 * (smooth((96, 96)) > 0)).astype(np.float32)
    with pytest.raises(UsageError, match=r"patience.*few photons.*leave patience empty"):
        preparation.prepare([Volume(few, "YX")], chosen(patience=0.5, patch=(16,)))
