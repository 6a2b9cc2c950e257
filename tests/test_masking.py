"""Masking: laws of the replacement, density of the sites, blindness; a scheme is tested by being listed."""

import re
from importlib import import_module
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from meeum.errors import UsageError
from meeum.masking import SCHEMES, Masking, Scheme, draw_sites, fill, mask, site_spacing
from meeum.objectives import Subject, plan_masking
from meeum.patches import Normalisation
from meeum.settings import MASKING, MaskingSettings

torch.set_num_threads(1)

ARCHITECTURE = Path(__file__).parents[1] / "docs" / "architecture.md"
DRAWS = 6000
LEAST_P = 1e-4
WINDOW = {2: (1, 2), 3: (1, 2, 1)}  # half-widths, another one per axis
STD = {2: (0.9, 1.7), 3: (0.8, 1.6, 1.1)}
FOOTPRINT = {2: (1, 0), 3: (0, 1, 1)}
SIZE = {2: (6, 7), 3: (5, 6, 4)}
PLACES = [  # inside, on an edge, in both corners
    *(((3, 3)), (0, 3), (0, 0), (5, 6), (4, 6)),
    *((2, 3, 2), (2, 0, 2), (0, 0, 0), (4, 5, 3)),
]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def masking(name, axes, *, footprint=None, window=None, std=None, share=0.05):
    return Masking(
        SCHEMES[name],
        share,
        footprint or (0,) * axes,
        window or WINDOW[axes],
        std or STD[axes],
    )


def noise(*shape, seed=0):
    return torch.randn(shape, generator=seeded(seed))


def distinct(size):
    """An image whose values are all different: a value says where it came from."""
    return torch.from_numpy(np.random.default_rng(1).permutation(int(np.prod(size))).astype("f4").reshape(size))


def replacements(name, place, *, footprint=None, draws=DRAWS):
    """What one site of one image is filled with, `draws` times; and the image and what of it is hidden."""
    axes, image = len(place), distinct(SIZE[len(place)])
    sites = torch.zeros(draws, *image.shape, dtype=torch.bool)
    sites[(slice(None), *place)] = True
    chosen = masking(name, axes, footprint=footprint)
    masked = fill(image.expand(sites.shape).clone(), sites, chosen, seeded(), most_sites=draws)
    return (
        masked.image[(slice(None), *place)].numpy().astype(float),
        image.numpy().astype(float),
        masked.hidden[0].numpy(),
    )


# --- the laws, written a second time from their definitions, in numpy and scipy


def window_of(array, place, half):
    padded = np.pad(array, [(h, h) for h in half], mode="reflect")
    return padded[tuple(slice(p, p + 2 * h + 1) for p, h in zip(place, half, strict=True))].ravel()


def uniform_law(image, usable, place):
    """Probability of each voxel: its share of the usable voxels of the reflected window."""
    half = WINDOW[image.ndim]
    places = window_of(np.arange(image.size).reshape(image.shape), place, half)
    places = places[window_of(usable, place, half)]
    return np.bincount(places, minlength=image.size).reshape(image.shape) / len(places)


def displaced_law(image, usable, place):
    """Rounded normal steps, given that they end inside, on a usable voxel and not where they began."""
    chance = np.ones(())
    for n, p, std in zip(image.shape, place, STD[image.ndim], strict=True):
        step = np.arange(n) - p
        along = stats.norm.cdf((step + 0.5) / std) - stats.norm.cdf((step - 0.5) / std)
        chance = chance[..., None] * along
    chance = chance * usable
    chance[place] = 0
    return chance / chance.sum()


def normal_of_window(image, usable, place):
    half = WINDOW[image.ndim]
    values = window_of(image, place, half)[window_of(usable, place, half)]
    return stats.norm(values.mean(), values.std())


def normal_around_own(image, usable, place):
    return stats.norm(image[place], STD[image.ndim][0])


def exact(statistic):
    def law(image, usable, place):
        half = WINDOW[image.ndim]
        return statistic(window_of(image, place, half)[window_of(usable, place, half)])

    return law


LAWS = {
    "UPS": uniform_law,
    "UPS_nocentre": uniform_law,
    "GPS": displaced_law,
    "G": normal_around_own,
    "GF": normal_of_window,
    "mean": exact(np.mean),
    "median": exact(np.median),
}
USES_HIDDEN = {name for name, scheme in SCHEMES.items() if scheme.leak} - {"G"}  # where no footprint is given
EXACT = [  # those that draw nothing
    name for name, law in LAWS.items() if isinstance(law(np.ones(SIZE[2]), np.ones(SIZE[2], bool), (3, 3)), float)
]
FALLS_BACK = [name for name, scheme in SCHEMES.items() if "mask_size" in scheme.needs and name != "GF"]


def assert_follows(values, law, image):
    if isinstance(law, np.ndarray):  # a probability for each voxel
        seen = np.array([(values == value).sum() for value in image.ravel()])
        chance = law.ravel()
        assert seen.sum() == len(values), "values that are not in the image"
        assert not seen[chance == 0].any(), "voxels that may not be drawn"
        few = chance * len(values) < 5  # too few for the test: taken together, or left out where almost none
        observed = np.append(seen[~few], seen[few].sum())
        expected = np.append(chance[~few], chance[few].sum()) * len(values)
        kept = expected > 0.5
        scale = observed[kept].sum() / expected[kept].sum()
        assert stats.chisquare(observed[kept], expected[kept] * scale).pvalue > LEAST_P
    elif isinstance(law, float):  # one value, always
        np.testing.assert_allclose(values, law, rtol=1e-6)
    else:
        assert stats.kstest(values, law.cdf).pvalue > LEAST_P
        assert values.std() == pytest.approx(law.std(), rel=5 / np.sqrt(2 * len(values)))


def test_every_scheme_has_its_law_here_and_its_name_in_the_settings():
    assert set(LAWS) == set(SCHEMES)
    assert set(MASKING) == set(SCHEMES)


@pytest.mark.parametrize("place", PLACES, ids=str)
@pytest.mark.parametrize("name", SCHEMES)
def test_replacements_follow_their_law(name, place):
    values, image, hidden = replacements(name, place, draws=40_000 if name in ("G", "GF") else DRAWS)
    usable = np.ones_like(hidden) if name in USES_HIDDEN else ~hidden
    assert_follows(values, LAWS[name](image, usable, place), image)


@pytest.mark.parametrize("place", [(3, 3), (0, 0), (2, 3, 2), (4, 5, 3)], ids=str)
@pytest.mark.parametrize("name", SCHEMES)
def test_with_a_footprint_replacements_come_from_what_is_visible(name, place):
    values, image, hidden = replacements(name, place, footprint=FOOTPRINT[len(place)])
    assert hidden.sum() > 1
    assert_follows(values, LAWS[name](image, ~hidden, place), image)


@pytest.mark.parametrize("size", [(13, 11), (7, 9, 8)], ids=str)
@pytest.mark.parametrize("name", EXACT)
def test_schemes_that_draw_nothing_agree_with_numpy_at_every_hidden_voxel(name, size):
    axes, image = len(size), noise(3, *size)
    for footprint in ((0,) * axes, FOOTPRINT[axes]):
        masked = mask(image, masking(name, axes, footprint=footprint, share=0.1), seeded())
        for batch, *place in masked.hidden.nonzero().tolist():
            values, visible = image[batch].numpy(), ~masked.hidden[batch].numpy()
            if window_of(visible, place, WINDOW[axes]).any():
                law = LAWS[name](values, visible, tuple(place))
            else:
                law = values[visible].mean()
            assert masked.image[(batch, *place)] == pytest.approx(law, abs=1e-6)


def test_the_example_of_the_architecture_follows_its_law():
    """Run as it stands there; it falls back to what is visible where a window is hidden whole."""
    text = ARCHITECTURE.read_text(encoding="utf-8")
    stated = re.search(r"```python\n(def smallest.*?)\n\n\nSCHEMES", text, re.DOTALL)[1]
    known = dict(vars(import_module("meeum.masking")))
    exec(stated, known)
    scheme, image = Scheme(known["smallest"], ("mask_size",)), noise(2, 8, 8)
    chosen = Masking(scheme, 0.1, (2, 2), (1, 1), STD[2])
    sites = torch.zeros(2, 8, 8, dtype=torch.bool)
    sites[:, 4, 4] = True
    masked = fill(image, sites, chosen, seeded(), most_sites=2)
    for batch in (0, 1):
        values, visible = image[batch].numpy(), ~masked.hidden[batch].numpy()
        assert masked.image[batch, 4, 4] == pytest.approx(values[visible].mean(), abs=1e-6)
        edge = values[1:4, 1:4][visible[1:4, 1:4]].min()
        assert masked.image[batch, 2, 2] == pytest.approx(edge)


# --- sites


@pytest.mark.parametrize("size", [(33, 31), (8, 64), (12, 14, 13), (5, 21, 21), (1, 33, 31)], ids=str)
@pytest.mark.parametrize("share", [0.002, 0.03, 0.05, 0.2, 0.5])
def test_density_of_sites_is_the_share(size, share):
    images = 2_000_000 // int(np.prod(size)) + 1
    sites, most = draw_sites((images, *size), share, seeded())
    error = np.sqrt(share * (1 - share) / sites.numel())
    assert sites.dtype == torch.bool
    assert float(sites.float().mean()) == pytest.approx(share, abs=5 * error)
    assert sites.sum() <= most


@pytest.mark.parametrize("size", [(2, 3), (1, 4, 4)], ids=str)
def test_density_holds_where_there_is_less_than_one_site_per_image(size):
    sites, _ = draw_sites((50_000, *size), 0.01, seeded())
    assert float(sites.float().mean()) == pytest.approx(0.01, abs=5 * np.sqrt(0.01 / sites.numel()))


def test_a_share_of_one_makes_every_voxel_a_site():
    assert draw_sites((2, 5, 6, 7), 1.0, seeded())[0].all()


@pytest.mark.parametrize("size", [(11, 9), (5, 7, 6)], ids=str)
@pytest.mark.parametrize("share", [0.03, 0.3])
def test_every_voxel_edges_and_corners_too_is_a_site_as_often(size, share):
    images = 20_000
    counts = draw_sites((images, *size), share, seeded())[0].sum(0).numpy().astype(float)
    z = (counts - images * share) / np.sqrt(images * share * (1 - share))
    assert abs(z).max() < 5
    assert stats.chi2.sf((z**2).sum(), z.size) > LEAST_P
    corners = z[np.ix_(*([0, -1] for _ in size))]
    assert abs(corners.mean()) < 4 / np.sqrt(corners.size)


@pytest.mark.parametrize("size", [(40, 40), (20, 20, 20)], ids=str)
def test_sites_are_spread_evenly_over_image_and_blocks(size):
    share = 0.05
    sites = draw_sites((300, *size), share, seeded())[0].numpy()
    for blocks in (1, 2):
        split = sites.reshape(300, *(part for n in size for part in (blocks, n // blocks)))
        counts = split.sum(axis=tuple(2 + 2 * axis for axis in range(len(size)))).ravel()
        binomial = share * (1 - share) * sites[0].size / blocks ** len(size)
        assert 0 < counts.var() < 0.6 * binomial


def test_images_of_a_batch_have_sites_of_their_own():
    sites, _ = draw_sites((50, 16, 16), 0.05, seeded())
    assert len({bytes(image.numpy()) for image in sites}) == 50


@pytest.mark.parametrize("size", [(64, 64), (32, 32, 32), (3, 50, 50), (1, 64, 64)], ids=str)
def test_cells_are_the_inverse_of_the_share_and_nearly_even(size):
    for share in (0.5, 0.05, 0.0123, 0.18 / 125):
        sides = site_spacing(size, share)
        assert np.prod(sides) <= 1 / share + 1e-6 and np.prod(sides) > 0.4 / share
        assert all(side <= n for side, n in zip(sides, size, strict=True))
        free = [side for side, n in zip(sides, size, strict=True) if side < n]
        assert max(free) <= 2 * min(free)


# --- what every scheme must hold, in 2D and 3D

EVERY = pytest.mark.parametrize(("name", "axes"), list(product(SCHEMES, (2, 3))))
BATCH = {2: (2, 24, 25), 3: (2, 6, 14, 15)}


@EVERY
def test_nothing_changes_outside_what_is_hidden(name, axes):
    image = noise(*BATCH[axes])
    before = image.clone()
    for footprint in ((0,) * axes, FOOTPRINT[axes]):
        masked = mask(image, masking(name, axes, footprint=footprint), seeded())
        assert masked.sites.any() and masked.sites.dtype == masked.hidden.dtype == torch.bool
        assert torch.equal(masked.image[~masked.hidden], image[~masked.hidden])
        assert (masked.image != image)[masked.hidden].float().mean() > 0.8
        assert masked.image.dtype == image.dtype and torch.equal(image, before)


@EVERY
def test_rows_beyond_the_last_hidden_voxel_are_harmless(name, axes):
    image = noise(*BATCH[axes])
    none = mask(image, masking(name, axes), seeded(), allowed=torch.zeros(image.shape, dtype=torch.bool))
    assert torch.equal(none.image, image) and not none.sites.any() and not none.hidden.any()
    last = torch.zeros(image.shape, dtype=torch.bool)
    last[(-1,) * image.dim()] = True
    masked = fill(image, last, masking(name, axes), seeded(), most_sites=50)
    assert torch.equal(masked.image[~last], image[~last])
    assert torch.equal(masked.hidden, last)


@EVERY
def test_values_come_from_the_image_itself_never_from_its_neighbour_in_the_batch(name, axes):
    offsets = torch.tensor([0.0, 1e6, -1e6]).reshape(-1, *[1] * axes)
    image = noise(3, *BATCH[axes][1:]) + offsets
    for footprint in ((0,) * axes, FOOTPRINT[axes]):
        masked = mask(image, masking(name, axes, footprint=footprint), seeded())
        if name == "GF":  # in float32 the std of values of 1e6 is not exact; that they stay near is enough
            assert (masked.image - offsets).abs().max() < 1e4
        else:
            assert (masked.image - offsets).abs().max() < 10


@EVERY
def test_ties_keep_their_sites(name, axes):
    image = torch.full(BATCH[axes], 3.0)
    flat = mask(image, masking(name, axes), seeded())
    rough = mask(noise(*BATCH[axes]), masking(name, axes), seeded())
    assert torch.equal(flat.sites, rough.sites) and torch.equal(flat.hidden, rough.hidden)
    if name != "G":
        np.testing.assert_allclose(flat.image.numpy(), 3.0, atol=0.01)


def input_depends_on_hidden(name, axes, footprint):
    chosen = masking(name, axes, footprint=footprint, std=(3.0,) * axes, share=0.1)
    image = noise(*BATCH[axes])
    first = mask(image, chosen, seeded())
    other = torch.where(first.hidden, 50 * noise(*BATCH[axes], seed=1), image)
    second = mask(other, chosen, seeded())
    assert torch.equal(first.hidden, second.hidden)
    return not torch.equal(first.image, second.image)


@EVERY
def test_the_input_is_blind_to_what_is_hidden_or_the_leak_is_on_record(name, axes):
    assert input_depends_on_hidden(name, axes, (0,) * axes) == bool(SCHEMES[name].leak)


@EVERY
def test_a_footprint_makes_every_scheme_blind_but_g(name, axes):
    assert input_depends_on_hidden(name, axes, FOOTPRINT[axes]) == (name == "G")


@EVERY
def test_the_same_seed_gives_the_same_and_another_one_another(name, axes):
    image = noise(*BATCH[axes])
    one, same, other = (mask(image, masking(name, axes), seeded(seed)) for seed in (5, 5, 6))
    assert torch.equal(one.image, same.image) and torch.equal(one.sites, same.sites)
    assert not torch.equal(one.sites, other.sites) and not torch.equal(one.image, other.image)
    if name not in EXACT:
        redone = fill(image, one.sites, masking(name, axes), seeded(7), most_sites=int(one.sites.sum()))
        assert not torch.equal(redone.image, one.image)


@EVERY
def test_sites_lie_only_where_they_are_allowed(name, axes):
    allowed = noise(*BATCH[axes], seed=3) > 0
    free = mask(noise(*BATCH[axes]), masking(name, axes, share=0.2), seeded())
    masked = mask(noise(*BATCH[axes]), masking(name, axes, share=0.2), seeded(), allowed=allowed)
    assert torch.equal(masked.sites, free.sites & allowed) and torch.equal(masked.hidden, masked.sites)


@EVERY
def test_schemes_work_in_the_low_precision_training_uses(name, axes):
    image = noise(*BATCH[axes])
    full = mask(image, masking(name, axes, footprint=FOOTPRINT[axes]), seeded())
    with torch.autocast("cpu", torch.bfloat16):
        low = mask(image, masking(name, axes, footprint=FOOTPRINT[axes]), seeded())
    assert torch.equal(low.image, full.image)


# --- footprints


@pytest.mark.parametrize("half", [(0, 0), (1, 1), (2, 0), (0, 3), (1, 1, 1), (0, 2, 1)], ids=str)
def test_exactly_the_voxels_within_the_half_widths_of_a_site_are_hidden(half):
    image = noise(2, *(9, 17, 16)[-len(half) :])
    masked = mask(image, masking("mean", len(half), footprint=half, share=0.02), seeded())
    expected = np.zeros(image.shape, dtype=bool)
    for batch, *place in masked.sites.nonzero().tolist():
        expected[(batch, *(slice(max(0, p - h), p + h + 1) for p, h in zip(place, half, strict=True)))] = True
    assert masked.sites.any()
    np.testing.assert_array_equal(masked.hidden.numpy(), expected)


def test_overlapping_footprints_are_all_filled_from_outside():
    image = torch.zeros(1, 9, 12)
    sites = torch.zeros(1, 9, 12, dtype=torch.bool)
    sites[0, 4, 4] = sites[0, 4, 6] = True
    image[0, 3:6, 3:8] = 100.0  # what both hide together
    masked = fill(image, sites, masking("mean", 2, footprint=(1, 1), window=(2, 2)), seeded(), most_sites=2)
    assert masked.hidden.sum() == 15 and not masked.image.any()


@pytest.mark.parametrize("name", FALLS_BACK)
def test_a_window_hidden_whole_falls_back_to_the_mean_of_what_is_visible(name):
    image = noise(2, 8, 8)
    image[1] += 10
    sites = torch.zeros(2, 8, 8, dtype=torch.bool)
    sites[:, 4, 4] = True
    masked = fill(image, sites, masking(name, 2, footprint=(2, 2), window=(1, 1)), seeded(), most_sites=2)
    for batch in (0, 1):
        visible = image[batch][~masked.hidden[batch]].mean()
        assert masked.image[batch, 4, 4] == pytest.approx(float(visible), rel=1e-5)
        assert masked.image[batch, 2, 2] != pytest.approx(float(visible), rel=1e-5)


@EVERY
def test_an_image_hidden_whole_is_filled_with_numbers(name, axes):
    image = noise(*BATCH[axes])
    everything = torch.ones(image.shape, dtype=torch.bool)
    masked = fill(image, everything, masking(name, axes), seeded(), most_sites=image.numel())
    assert masked.image.isfinite().all() and masked.hidden.all()


# --- plan_masking: from settings to numbers, and what it refuses

SUBJECT = Subject("cell.TCF", (9, 64, 64), Normalisation(1.337, 0.004))


def plan(subject=SUBJECT, **settings):
    return plan_masking(MaskingSettings(**settings), subject)


def test_planned_numbers():
    ups = plan(mask_size=(5,))
    assert ups.scheme is SCHEMES["UPS"] and ups.window == (2, 2, 2) and ups.footprint == (0, 0, 0)
    assert ups.share == 0.05
    per_axis = plan(masking="MEDIAN", mask_size=(3, 7, 9), footprint=(0, 2, 2), share=0.01)
    assert per_axis.scheme is SCHEMES["median"] and per_axis.window == (1, 3, 4) and per_axis.share == 0.01
    assert plan(mask_size=(7,), footprint=(2,)).share == pytest.approx(0.18 / 125)


def test_std_of_g_is_in_data_units_and_that_of_gps_in_pixels():
    assert plan(masking="G", mask_std=(0.002,)).std == pytest.approx((0.5, 0.5, 0.5))
    assert plan(masking="g", mask_std=(0.002,)).std == pytest.approx((0.5, 0.5, 0.5))
    assert plan(masking="GPS", mask_std=(2.0, 3.0, 3.0)).std == (2.0, 3.0, 3.0)


@pytest.mark.parametrize("name", SCHEMES)
def test_a_scheme_without_its_number_is_refused_with_key_unit_and_a_value_that_works(name):
    with pytest.raises(UsageError) as refused:
        plan(masking=name)
    (key,) = SCHEMES[name].needs
    text = str(refused.value)
    assert text.startswith(f"[masking] {key}: masking = {name} needs {key}")
    unit = "data units" if name == "G" else "pixels"
    assert unit in text
    value = float(text.split("; try ")[1].split(",", maxsplit=1)[0])
    assert value == (0.002 if name == "G" else 5)
    plan(masking=name, **{key: (value,) if key == "mask_std" else (int(value),)})
    assert "cell.TCF" in text or name != "G"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"masking": "UPSS", "mask_size": (5,)}, ["masking: unknown scheme 'UPSS'", *SCHEMES]),
        ({"mask_size": (4,)}, ["mask_size: 4 is not odd", "try 5"]),
        ({"mask_size": (11,)}, ["mask_size: 11 is larger than cell.TCF", "9x64x64", "at most 9"]),
        ({"mask_size": (3, 65, 65)}, ["mask_size: 65 is larger than cell.TCF", "at most 63"]),
        ({"mask_size": (3, 5)}, ["mask_size: 2 numbers given for an image with 3 axes", "give 1 or 3"]),
        ({"mask_size": (5,), "footprint": (1, 1)}, ["footprint: 2 numbers given", "give 1 or 3"]),
        ({"mask_size": (5,), "footprint": (2,)}, ["mask_size: a window of 5, 5, 5 lies inside", "try 7, 7, 7"]),
        ({"mask_size": (1,)}, ["mask_size: a window of 1, 1, 1 lies inside the footprint 0, 0, 0", "try 3, 3, 3"]),
        ({"masking": "GPS", "mask_std": (0.3,)}, ["mask_std: 0.3 pixels", "at least 0.5"]),
        ({"masking": "G", "mask_std": (0.0,)}, ["mask_std: 0 is no standard deviation"]),
        ({"masking": "G", "mask_std": (-1.0,)}, ["mask_std: -1 is no standard deviation"]),
        ({"masking": "G", "mask_std": (1.0, 2.0, 3.0)}, ["mask_std: 3 numbers given", "one standard deviation"]),
        (
            {"masking": "G", "mask_std": (1.0,), "footprint": (4, 32, 32)},
            ["footprint: half-widths 4, 32, 32 hide all of"],
        ),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_with_what_would_work(settings, words):
    with pytest.raises(UsageError) as refused:
        plan(**settings)
    for word in words:
        assert word in str(refused.value)
