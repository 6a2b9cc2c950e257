"""The statistics of a pair find what was planted, and nothing where nothing was."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from meeum.auditing import gather, pair_statistics, psnr, rows
from meeum.auditing.regions import otsu_threshold
from meeum.auditing.sampling import plan_sample, read_blocks
from meeum.auditing.values import value_range
from meeum.errors import MeeumError
from meeum.volume import Volume

CONTRAST, MEDIUM = 0.03, 1.337


def cell(shape=(24, 64, 64)):
    """A sharp ball of radius 10 voxels in the middle of a medium."""
    grid = np.indices(shape) - np.array([(n - 1) / 2 for n in shape]).reshape(-1, *[1] * len(shape))
    return MEDIUM + CONTRAST * (np.sqrt((grid**2).sum(axis=0)) < 10)


def volume(values, axes="ZYX", **more):
    return Volume(np.asarray(values, dtype=np.float32), axes, quantity="refractive index", **more)


@pytest.fixture
def noisy(rng):
    clean = cell()
    return volume(clean + rng.normal(0, 0.005, clean.shape))


def finite_numbers(statistics):
    def walk(value):
        for item in value.values() if isinstance(value, dict) else value:
            if isinstance(item, dict | list):
                yield from walk(item)
            elif isinstance(item, float):
                yield item

    return list(walk(statistics.as_dict()))


def test_identity_changes_nothing(noisy):
    s = pair_statistics(noisy, noisy)
    assert s.before == s.after
    assert (s.range_ratio, s.range_ratio_percentiles, s.residual_mean, s.residual_std) == (1, 1, 0, 0)
    assert s.edge_ratio == pytest.approx(1, abs=1e-6)
    assert (s.coverage, s.sampling, s.lost, s.voxels) == (1, "all voxels", 0, 24 * 64 * 64)


def test_values_agree_with_plain_numpy(noisy):
    s = pair_statistics(noisy, noisy)
    v = noisy.data.astype(np.float64)
    low, high = np.percentile(v, [0.1, 99.9])
    inner = v[(v >= low) & (v <= high)]
    expected = [v.min(), v.max(), v.mean(), v.std(), low, high, inner.mean(), inner.std()]
    found = [getattr(s.before, name) for name in s.before.__dataclass_fields__]
    assert found == pytest.approx(expected, abs=2e-7)


def test_correlation_agrees_with_plain_numpy(noisy, rng):
    other = volume(cell() + rng.normal(0, 0.01, noisy.shape))
    s = pair_statistics(noisy, other)
    ones = ndimage.gaussian_filter(np.ones(noisy.shape), 3, mode="constant", truncate=3)
    smooth = ndimage.gaussian_filter(noisy.data.astype(float), 3, mode="constant", truncate=3) / ones
    assert s.correlation == pytest.approx(np.corrcoef(other.data.ravel(), smooth.ravel())[0, 1], abs=1e-5)


def test_inversion_shows_as_negative_correlation_and_slope(noisy):
    inverted = volume(2 * MEDIUM - noisy.data)
    s = pair_statistics(noisy, inverted)
    assert s.correlation == pytest.approx(-s.correlation_before, abs=1e-5)
    assert s.correlation < -0.5
    assert s.edge_ratio == pytest.approx(-1, abs=1e-4)


@pytest.mark.parametrize(("gain", "shift"), [(1.1, 0.0), (1.0, 0.002), (0.8, -0.01)])
def test_gain_and_offset_show_as_planted(noisy, gain, shift):
    s = pair_statistics(noisy, volume(MEDIUM + gain * (noisy.data.astype(float) - MEDIUM) + shift))
    assert s.range_ratio == pytest.approx(gain, rel=1e-4)
    assert s.range_ratio_percentiles == pytest.approx(gain, rel=1e-3)
    assert s.after.std == pytest.approx(gain * s.before.std, rel=1e-4)
    for before, after in (
        (s.before.mean, s.after.mean),
        (s.background.mean_before, s.background.mean_after),
        (s.cells.mean_before, s.cells.mean_after),
    ):
        assert after == pytest.approx(MEDIUM + gain * (before - MEDIUM) + shift, abs=3e-7)
    assert s.residual_mean == pytest.approx(s.before.mean - s.after.mean, abs=1e-9)
    assert s.edge_ratio == pytest.approx(gain, rel=1e-3)
    assert s.correlation == pytest.approx(s.correlation_before, abs=1e-4)


def test_cells_and_background_are_where_they_were_put(noisy):
    s = pair_statistics(noisy, noisy)
    assert s.background.mean_before == pytest.approx(MEDIUM, abs=2e-4)
    assert s.background.std_before == pytest.approx(0.005, rel=0.03)
    assert s.cells.share == pytest.approx((cell() > MEDIUM).mean(), rel=0.35)  # the low-pass widens a ball this small
    assert MEDIUM < s.threshold < MEDIUM + CONTRAST
    assert s.background.share + s.cells.share < 1


def test_blur_lowers_the_edge_ratio_in_order(noisy):
    ratios = [
        pair_statistics(noisy, volume(ndimage.gaussian_filter(noisy.data, sigma))).edge_ratio for sigma in (0.7, 1.5, 3)
    ]
    assert 0.95 > ratios[0] > ratios[1] > ratios[2]
    assert ratios[2] < 0.75


@pytest.mark.parametrize("noise", [0.002, 0.005])
def test_a_perfect_result_keeps_its_edges_under_noise(rng, noise):
    clean = cell()
    s = pair_statistics(volume(clean + rng.normal(0, noise, clean.shape)), volume(clean))
    assert s.edge_ratio == pytest.approx(1, abs=0.03)


def test_identity_keeps_edges_even_in_pure_noise(rng):
    noise = volume(rng.normal(0, 50, (40, 40)), "YX")
    assert pair_statistics(noise, noise).edge_ratio == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("no_data", [0.0, math.nan])
def test_voxels_without_data_change_no_number(noisy, no_data):
    """A frame of no data around an image leaves every number, and what is found there in either image is not read."""
    denoised = volume(ndimage.gaussian_filter(noisy.data, 1))
    plain = pair_statistics(noisy, denoised)
    pads = ((3, 3), (5, 4), (2, 6))
    framed = volume(np.pad(noisy.data, pads, constant_values=no_data), no_data=no_data)
    answers = []
    for filling in (no_data, 7.0):
        after = replace(framed, data=np.pad(denoised.data, pads, constant_values=filling).astype(np.float32))
        answers.append(pair_statistics(framed, after))
    assert finite_numbers(answers[0]) == pytest.approx(finite_numbers(plain), rel=1e-5, abs=1e-7)
    assert answers[1].as_dict() == answers[0].as_dict()
    assert answers[0].voxels == plain.voxels == answers[0].voxels


def test_values_that_went_missing_are_counted(noisy):
    broken = noisy.data.copy()
    broken[0, :2, :5] = np.nan
    s = pair_statistics(noisy, volume(broken))
    assert s.lost == 10
    assert s.voxels == noisy.data.size - 10
    assert all(map(math.isfinite, finite_numbers(s)))


@pytest.mark.parametrize(
    ("values", "axes", "undefined"),
    [
        (np.full((1, 1), 2.0), "YX", {"range_ratio", "correlation", "background", "cells", "edge_ratio", "threshold"}),
        (np.full((1, 8, 8), 1.337), "ZYX", {"range_ratio", "correlation", "background", "cells", "edge_ratio"}),
        (np.array([[1.0, 2.0]]), "YX", {"edge_ratio", "background"}),
        (np.zeros((2, 3, 5, 5)), "TZYX", {"before", "after", "residual_mean", "correlation", "edge_ratio", "cells"}),
    ],
)
def test_what_cannot_be_told_is_nan_with_a_reason(values, axes, undefined):
    image = volume(values, axes, no_data=0.0)
    s = pair_statistics(image, image)
    assert undefined <= set(s.reasons)
    assert all(reason for reason in s.reasons.values())
    plain = json.loads(json.dumps(s.as_dict(), allow_nan=False))
    assert all(plain[name] is None for name in undefined if not isinstance(plain[name], dict))
    told = " ".join(row.change for row in rows(s))
    assert s.reasons["edge_ratio"] in told


def test_one_plane_of_a_volume_equals_the_image(noisy):
    plane = noisy.data[12:13]
    flat = pair_statistics(volume(plane[0], "YX"), volume(plane[0] * 0.5, "YX")).as_dict()
    deep = pair_statistics(volume(plane), volume(plane * 0.5)).as_dict()
    for name in ("correlation", "edge_ratio", "threshold", "background", "cells", "before", "after"):
        assert deep[name] == pytest.approx(flat[name], rel=1e-5)


def test_long_voxels_are_smoothed_less():
    image = volume(cell(), voxel_size_um=(0.8, 0.2, 0.2))
    s = pair_statistics(image, image)
    assert s.low_pass_sigma == pytest.approx((0.75, 3, 3))
    assert s.margin == pytest.approx((1.5, 6, 6))
    assert s.low_pass_sigma_um == pytest.approx(0.6)


class Unread:
    """An array that counts what is read of it."""

    def __init__(self, shape):
        self.shape, self.dtype, self.read = shape, np.dtype("float32"), 0

    def __getitem__(self, region):
        z = np.arange(*region[-3].indices(self.shape[-3])) if len(region) > 2 else np.zeros(1)
        sizes = [len(range(*part.indices(n))) for part, n in zip(region, self.shape, strict=True)]
        self.read += math.prod(sizes)
        return np.broadcast_to(z.reshape(-1, 1, 1), sizes) if len(region) > 2 else np.zeros(sizes)


@pytest.mark.parametrize(
    ("shape", "axes", "limit"),
    [
        ((30, 40, 40), "ZYX", 20_000),
        ((9, 30, 40, 40), "TZYX", 20_000),
        ((50, 20, 20), "TYX", 2_000),
        ((300, 200), "YX", 900),
        ((6, 7, 300, 200), "TZYX", 900),
        ((1, 1, 5000), "ZYX", 700),
    ],
)
def test_a_large_image_is_read_in_part(shape, axes, limit):
    data = Unread(shape)
    image = Volume(data, axes)
    sample = plan_sample(image, limit)
    blocks, _ = read_blocks(image, image, regions=sample.regions)
    assert data.read == 2 * sum(block.noisy.size for block in blocks)
    assert limit / 2 <= sum(block.noisy.size for block in blocks) <= limit
    assert sample.share == pytest.approx(data.read / 2 / math.prod(shape))
    places = {tuple((part.start, part.stop) for part in region) for region in sample.regions}
    assert len(places) == len(sample.regions)
    assert all(
        0 <= part.start < part.stop <= n for region in sample.regions for part, n in zip(region, shape, strict=True)
    )


def test_slabs_are_neighbouring_planes_that_do_not_overlap():
    sample = plan_sample(Volume(Unread((30, 40, 40)), "ZYX"), 24_000)
    assert [(region[0].start, region[0].stop) for region in sample.regions] == [(2, 7), (12, 17), (22, 27)]
    assert sample.description == "3 x 5 of 30 z-planes, spread evenly"


def test_a_sample_agrees_with_the_whole(rng):
    values = rng.normal(10, 2, (8, 3, 20, 20))
    image, half = volume(values, "TZYX"), volume(values / 2, "TZYX")
    s = pair_statistics(image, half, limit=2_500)
    assert s.sampling == "2 of 8 frames, spread evenly"
    assert (s.coverage, s.voxels) == (0.25, 2400)
    chosen = values[[2, 6]]
    assert s.before.mean == pytest.approx(chosen.mean(), abs=1e-5)
    assert s.after.std == pytest.approx(chosen.std() / 2, rel=1e-5)


def test_unlike_shapes_are_refused(noisy):
    with pytest.raises(MeeumError, match=r"shape \(24, 64, 63\) cannot be compared.*\(24, 64, 64\)"):
        pair_statistics(noisy, volume(noisy.data[:, :, 1:]))


def test_otsu_parts_two_classes():
    values = np.array([0, 0.1, 0.2, 5, 5.1, 5.2, 5.3], dtype=np.float32)
    assert 0.2 <= otsu_threshold(values) < 5


def test_rows_show_numbers_with_unit_and_sentence(noisy):
    table = rows(pair_statistics(noisy, volume(noisy.data.astype(float) + 0.002)))
    mean = next(row for row in table if row.name == "mean")
    assert (mean.before, mean.after) == (f"{noisy.data.mean():.5f}", f"{noisy.data.mean() + 0.002:.5f}")
    assert (mean.change, mean.unit) == ("+0.0020", "RI")
    assert next(row for row in table if row.name == "standard deviation").change == "x 1.000"
    assert all(row.meaning.endswith(".") and row.group for row in table)
    assert len({(row.group, row.name) for row in table}) == len(table) == 18


@pytest.mark.parametrize(("factor", "wider"), [(1.013, False), (1.07, True)])
def test_audit_and_table_agree_from_where_on_the_range_is_wider(noisy, factor, wider):
    middle = float(noisy.data.mean())
    after = volume(middle + factor * (noisy.data.astype(float) - middle))
    (row,) = (row for row in rows(pair_statistics(noisy, after)) if row.name == "range (maximum - minimum)")
    limit = float(re.search(r"above a factor of ([\d.]+), values were made", row.meaning)[1])
    found = value_range(gather(noisy, after))
    assert (factor > limit) == ("never recorded" in found.sentence) == wider
    assert (f"{limit:g} times counts as unchanged" in found.sentence) != wider


def test_means_that_are_not_those_of_the_audit_have_other_names(noisy):
    table = {row.name: row.meaning for row in rows(pair_statistics(noisy, noisy)) if row.group[0] in "BC"}
    assert "the audit leaves them out" in table["mean of all their voxels"]
    assert "the audit stays farther away" in table["mean of all its voxels"]
    assert not {f"mean of {part}" for part in ("cells", "background")} & set(table)


def test_psnr_by_hand():
    truth = volume([[[0.0, 1.0], [2.0, 4.0]]])
    image = volume([[[0.0, 1.0], [2.0, 6.0]]])
    assert psnr(truth, image) == pytest.approx(10 * math.log10(16 / 1))
    assert psnr(truth, image, data_range=8) == pytest.approx(10 * math.log10(64 / 1))
    assert psnr(truth, truth) == math.inf
    assert math.isnan(psnr(volume(np.ones((1, 2, 2))), volume(np.zeros((1, 2, 2)))))
    assert math.isnan(psnr(truth, volume(truth.data * np.nan)))


def test_psnr_leaves_out_voxels_without_data():
    truth = volume([[0.0, 1.0, 3.0]], "YX", no_data=0.0)
    assert psnr(truth, volume([[99.0, 1.0, 4.0]], "YX")) == pytest.approx(10 * math.log10(4 / 0.5))


def test_the_real_cell_has_the_psnr_on_record(shared_data):
    h5py = pytest.importorskip("h5py")
    noisy, truth = (
        volume(h5py.File(shared_data / "hl60" / f"{name}.h5")["input"][...])
        for name in ("hl60_noisy_odt_0", "hl60_full140")
    )
    assert psnr(truth, noisy) == pytest.approx(27.4, abs=0.05)
    assert pair_statistics(noisy, truth).edge_ratio == pytest.approx(1, abs=0.03)
