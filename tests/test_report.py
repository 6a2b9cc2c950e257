"""The previews show the values they claim to show, and the report is one safe, self-contained file."""

import base64
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from cmap import Colormap
from PIL import Image
from scipy import ndimage

from meeum.auditing import Finding, Picture, Place, gather, judge, pair_statistics
from meeum.errors import MeeumError, UsageError
from meeum.report import (
    FileFacts,
    RunFacts,
    curves,
    kept_audit,
    places,
    preview,
    write_evidence,
    write_previews,
    write_report,
)
from meeum.report.evidence import LONGEST as LONGEST_EVIDENCE
from meeum.report.evidence import draw as draw_evidence
from meeum.report.evidence import kept as kept_evidence
from meeum.report.figures import LONGEST, NO_DATA, RESIDUAL_COLORMAP, arrange
from meeum.report.html import duration
from meeum.report.ticks import ticks
from meeum.volume import Volume

LIMITS = (1.33, 1.37)


def draw(values, limits=LIMITS, voxel_size=None, colormap="viridis"):
    picture = preview(
        np.asarray(values, dtype=float),
        colormap=colormap,
        limits=limits,
        title="title",
        unit_label="refractive index",
        voxel_size=voxel_size,
    )
    return np.asarray(picture), arrange(np.shape(values), voxel_size)


def colour(value, limits=LIMITS, colormap="viridis"):
    share = np.clip((value - limits[0]) / (limits[1] - limits[0]), 0, 1)
    return np.round(np.array(Colormap(colormap)(share).rgba[:3]) * 255)


def near(pixel, expected):
    return np.abs(pixel.astype(float) - expected).max() <= 1


def test_every_pixel_has_the_colour_of_its_voxel(rng):
    values = rng.uniform(1.32, 1.38, (7, 11))
    values[2, 3] = np.nan
    picture, layout = draw(values)
    x0, y0 = layout.origin
    step = layout.width // 11
    assert (layout.height, layout.width) == (7 * step, 11 * step)
    for y, x in np.ndindex(7, 11):
        block = picture[y0 + y * step : y0 + (y + 1) * step, x0 + x * step : x0 + (x + 1) * step].reshape(-1, 3)
        assert (block == block[0]).all()
        expected = NO_DATA if (y, x) == (2, 3) else colour(values[y, x])
        assert near(block[0], np.array(expected)), (y, x)


def test_zero_of_the_residual_is_the_middle_of_a_diverging_map():
    picture, layout = draw([[-1.0, 0.0, 1.0]], limits=(-1, 1), colormap=RESIDUAL_COLORMAP)
    x0, y0 = layout.origin
    low, middle, high = (picture[y0 + 2, x0 + layout.width * k // 6].astype(int) for k in (1, 3, 5))
    assert middle.min() > 200
    assert low[2] > low[0] + 50
    assert high[0] > high[2] + 20


def test_colour_bar_runs_from_high_to_low_beside_the_picture():
    picture, layout = draw(np.full((40, 40), 1.35))
    x, y = layout.bar
    column = picture[:, x + 5]
    for share in (0.1, 0.5, 0.9):
        value = LIMITS[1] - share * (LIMITS[1] - LIMITS[0])
        pixel = column[y + round(share * (layout.bar_height - 1))]
        assert np.abs(pixel - colour(value)).max() <= 3
    labels = picture[y : y + layout.bar_height, x + layout.sized(27) : x + layout.sized(60)]
    assert (labels.max(axis=2) < 100).any(axis=1).sum() > 20  # ink of the numbers


@pytest.mark.parametrize(("shape", "voxel_size"), [((1, 1), (0.1, 0.1)), ((3, 900), None), ((900, 3), (0.8, 0.2))])
def test_nothing_runs_off_the_canvas(shape, voxel_size):
    picture, layout = draw(np.full(shape, 1.35), limits=(-1e-4, 1.2345), voxel_size=voxel_size)
    assert layout.bar[1] + layout.bar_height + 8 <= picture.shape[0]
    for rim in (picture[:2], picture[-2:], picture[:, :2], picture[:, -2:]):
        assert (rim == 255).all()


@pytest.mark.parametrize(
    ("shape", "voxel_size", "expected"),
    [
        ((96, 96), None, (480, 480)),
        ((140, 140), (0.139, 0.139), (420, 420)),
        ((20, 100), (0.4, 0.1), (320, 400)),
        ((500, 400), None, (500, 400)),
        ((2 * LONGEST, LONGEST), None, (LONGEST, LONGEST // 2)),
    ],
)
def test_pictures_keep_physical_proportions_at_a_readable_size(shape, voxel_size, expected):
    layout = arrange(shape, voxel_size)
    assert (layout.height, layout.width) == expected


def test_the_scale_bar_has_its_length():
    picture, layout = draw(np.full((100, 100), 1.35), voxel_size=(0.1, 0.1))
    row = picture[layout.origin[1] + layout.height + layout.sized(12) + 1, : layout.origin[0] + layout.width // 2]
    dark = np.flatnonzero(row.max(axis=1) < 60)
    solid = np.split(dark, np.flatnonzero(np.diff(dark) > 1) + 1)[0]
    assert len(solid) == round(2 / 0.1 * layout.width / 100)  # 2 µm: the longest round length in a third of 10 µm


def test_a_constant_plane_draws_without_a_warning():
    picture, layout = draw(np.full((4, 4), 1.337), limits=(1.337, 1.337))
    assert near(picture[layout.origin[1], layout.origin[0]], colour(0.5, (0, 1)))


@pytest.mark.parametrize(
    ("low", "high", "count", "labels"),
    [
        (1.3366, 1.3391, 5, ["1.3370", "1.3375", "1.3380", "1.3385", "1.3390"]),
        (-0.0021, 0.0021, 5, ["-0.002", "-0.001", "0.000", "0.001", "0.002"]),
        (0, 255, 5, ["0", "100", "200"]),
        (-3e-9, 3e-9, 3, ["-2e-09", "0", "2e-09"]),
        (0, 4e6, 2, ["0", "2e+06", "4e+06"]),
    ],
)
def test_ticks_are_round_and_told_apart(low, high, count, labels):
    assert [tick.label for tick in ticks(low, high, count=count)] == labels


def test_a_curve_needs_two_points_and_takes_text_from_a_table():
    assert curves.training([]) == []
    assert curves.training([{"step": 1, "loss": 2.0}, {"step": 2, "loss": math.nan}]) == []
    rows = [{"step": str(i), "loss": str(2 - i), "validation": "" if i else "1.5"} for i in range(3)]
    (chart,) = curves.training(rows)
    (line,) = curves.draw(chart).lines
    assert line.name == "training loss"
    x, y = zip(*(map(float, point.split(",")) for point in line.points.split()), strict=True)
    assert x[1] - x[0] == pytest.approx(x[2] - x[1], abs=0.2)
    assert y[0] < y[1] < y[2]  # the loss falls; SVG counts downwards
    assert chart.logarithmic is None  # it falls to 0
    falling = [{"step": i, "loss": 10.0**-i, "error_left": 1 + i} for i in range(4)]
    losses, left = curves.training(falling)
    assert losses.logarithmic is True
    assert left.logarithmic is False
    heights = [float(point.split(",")[1]) for point in curves.draw(losses).lines[0].points.split()]
    assert np.diff(heights) == pytest.approx(np.diff(heights)[0], abs=0.2)  # powers of ten are equally far apart


def test_the_values_of_a_chart_are_those_of_the_table():
    rows = [{"step": i, "loss": i * 1.5, "validation": i * 0.5 if i % 3 == 0 else math.nan} for i in range(1, 8)]
    (chart,) = curves.training(rows)
    told = chart.plain
    assert told["x"] == [1, 2, 3, 4, 5, 6, 7]
    assert [one["name"] for one in told["series"]] == ["training loss", "validation loss"]
    assert told["series"][0]["y"] == [1.5, 3, 4.5, 6, 7.5, 9, 10.5]
    assert told["series"][1]["y"] == [None, None, 1.5, None, None, 3, None]


def test_long_curves_become_means_that_keep_their_last_step():
    count = 3 * curves.MOST_POINTS
    (chart,) = curves.training([{"step": i, "loss": float(i % 3)} for i in range(1, count + 1)])
    (series,) = chart.series
    assert series.name == "training loss, mean of 3 steps"
    assert len(series.points) == curves.MOST_POINTS
    assert series.points[-1] == (count, 1.0)


@pytest.mark.parametrize(
    ("seconds", "words"), [(3.21, "3.21 s"), (185, "3 min 05 s"), (7860, "2 h 11 min"), (math.nan, "not recorded")]
)
def test_durations_are_in_words(seconds, words):
    assert duration(seconds) == words


def pair(rng, shape=(6, 20, 24), axes="ZYX", **more):
    values = rng.normal(1.337, 0.002, shape).astype(np.float32)
    values[..., 5:12, 6:14] += 0.02
    noisy = Volume(values, axes, **({"quantity": "refractive index"} | more))
    smooth = ndimage.gaussian_filter(values, 1, axes=(-2, -1))
    return noisy, noisy.with_data(smooth)


def test_previews_of_a_volume(rng, tmp_path):
    noisy, denoised = pair(rng, voxel_size_um=(0.4, 0.1, 0.1))
    found = write_previews(tmp_path, noisy, denoised)
    assert [item.plane for item in found[::3]] == ["XY at z = 3", "XZ at y = 10", "YZ at x = 12", "maximum along z"]
    assert [item.kind for item in found] == ["noisy", "denoised", "residual"] * 4
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(item.path.name for item in found)
    expected = {"XY": (20, 24), "XZ": (24, 24), "YZ": (24, 20), "maximum": (20, 24)}
    for item in found:
        ratio = expected[item.plane.split()[0]]
        layout = arrange(ratio, None)
        picture = np.asarray(Image.open(item.path))
        inside = picture[layout.origin[1] + layout.height - 1, layout.origin[0] + layout.width - 1]
        outside = picture[layout.origin[1] + layout.height, layout.origin[0] + layout.width]
        assert (outside == 255).all()
        assert not (inside == 255).all()


def test_residual_and_projection_show_the_planted_voxels(rng, tmp_path):
    values = np.zeros((4, 10, 10), dtype=np.float32)
    values[1, 2, 3], values[2, 7, 7] = 5.0, -5.0
    noisy = Volume(values, "ZYX")
    found = {(p.plane.split()[0], p.kind): p for p in write_previews(tmp_path, noisy, noisy.with_data(values * 0))}
    layout = arrange((10, 10), None)
    step = layout.width // 10

    def voxel(name, y, x):
        picture = np.asarray(Image.open(found[name].path)).astype(int)
        return picture[layout.origin[1] + y * step + 5, layout.origin[0] + x * step + 5]

    red, blue = voxel(("maximum", "residual"), 2, 3), voxel(("XY", "residual"), 7, 7)
    assert red[0] > red[2] + 20
    assert blue[2] > blue[0] + 50
    assert voxel(("XY", "residual"), 2, 3).min() > 200  # the positive voxel lies in another plane
    assert voxel(("maximum", "residual"), 7, 7).min() > 200  # a negative voxel never wins


def test_noisy_and_denoised_share_their_colours(rng, tmp_path):
    noisy, _ = pair(rng, (20, 24), "YX")
    first, second, _ = write_previews(tmp_path, noisy, noisy)
    one, two = (np.asarray(Image.open(item.path)) for item in (first, second))
    below_title = slice(arrange((20, 24), None).origin[1], None)
    assert (one[below_title] == two[below_title]).all()


def test_previews_of_a_series_show_first_and_last_frame(rng, tmp_path):
    found = write_previews(tmp_path / "new" / "folder", *pair(rng, (3, 20, 24), "TYX"))
    assert [item.path.name for item in found] == [
        f"frame{index}_xy_{kind}.png" for index in (0, 2) for kind in ("noisy", "denoised", "residual")
    ]


def test_voxels_without_data_are_grey_in_all_pictures(rng, tmp_path):
    values = rng.normal(1.337, 0.002, (3, 8, 8)).astype(np.float32)
    values[:, 0, 0] = 0
    noisy = Volume(values, "ZYX", no_data=0.0)
    for item in write_previews(tmp_path, noisy, noisy.with_data(values.copy())):
        if not item.plane.startswith(("XZ", "YZ")):
            layout = arrange((8, 8), None)
            picture = np.asarray(Image.open(item.path))
            assert tuple(picture[layout.origin[1] + 3, layout.origin[0] + 3]) == NO_DATA
            assert tuple(picture[layout.origin[1] + 80, layout.origin[0] + 80]) != NO_DATA


@pytest.mark.parametrize(
    ("values", "axes"), [(np.ones((1, 1)), "YX"), (np.full((1, 4, 4), 2.0), "ZYX"), (np.zeros((2, 3, 4)), "ZYX")]
)
def test_odd_images_make_a_report(values, axes, tmp_path):
    image = Volume(values.astype(np.float32), axes, no_data=0.0)
    page = report(tmp_path, image, image)
    assert "undefined" in page
    assert not re.search(r"\bnan\b", outside_scripts(page), re.IGNORECASE)


def test_existing_pictures_are_kept(rng, tmp_path):
    noisy, denoised = pair(rng, (20, 24), "YX")
    first = write_previews(tmp_path, noisy, denoised)[0].path
    before = first.read_bytes()
    with pytest.raises(UsageError, match="--overwrite"):
        write_previews(tmp_path, denoised, noisy)
    assert first.read_bytes() == before
    write_previews(tmp_path, denoised, noisy, overwrite=True)
    assert first.read_bytes() != before
    assert not list(tmp_path.glob(".*"))


def report(folder, noisy, denoised, **facts):
    previews = write_previews(folder, noisy, denoised, overwrite=True)
    told = {
        "title": "A run",
        "command": "meeum denoise cell.tif",
        "settings": "[masking]\nmasking = UPS\n",
        "versions": {"meeum": "0.1.0"},
        "seconds": 185.0,
        "metrics": [{"step": i, "loss": 1 / (1 + i)} for i in range(5)],
    }
    write_report(
        folder / "report.html",
        noisy=noisy,
        denoised=denoised,
        statistics=pair_statistics(noisy, denoised),
        previews=previews,
        run=RunFacts(**(told | facts)),
    )
    return (folder / "report.html").read_text(encoding="utf-8")


class Page(HTMLParser):
    """Every tag with its attributes, and all text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


SCRIPT = re.compile(r"<script.*?</script>", re.DOTALL)


def outside_scripts(page):
    """The page without its scripts and without the text of its pictures."""
    return re.sub(r"base64,[^\"]*", "", SCRIPT.sub("", page))


def test_the_report_embeds_its_pictures_and_asks_for_nothing_else(rng, tmp_path):
    page = report(tmp_path, *pair(rng))
    links = [a[key] for _, a in Page(page).tags for key in ("src", "href", "data", "action", "srcset") if key in a]
    inside = [link for link in links if link.startswith("#")]
    ids = {attrs["id"] for _, attrs in Page(page).tags if "id" in attrs}
    assert {link[1:] for link in inside} >= {"viewer", "statistics", "noise", "training", "provenance"}
    assert {link[1:] for link in inside} <= ids
    prefix = "data:image/png;base64,"
    pictures = [link for link in links if link not in inside]
    assert all(link.startswith(prefix) for link in pictures)
    embedded = [base64.b64decode(link.removeprefix(prefix)) for link in pictures]
    assert {(tmp_path / f"xy_{kind}.png").read_bytes() for kind in ("noisy", "denoised", "residual")} <= set(embedded)
    assert not re.search(r"https?://|//[a-z]|@import|url\(|<link|<iframe", outside_scripts(page))
    sources = "".join(match.group() for match in SCRIPT.finditer(page))
    assert not re.search(r"<script[^>]*src|XMLHttpRequest|WebSocket|sendBeacon|import\(", sources)
    policy = next(a["content"] for _, a in Page(page).tags if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy and "http" not in policy and "connect-src" not in policy


def test_the_report_has_landmarks_one_title_and_named_columns(rng, tmp_path):
    noisy, denoised = pair(rng)
    tags = Page(report(tmp_path, noisy, denoised, audit=audited(noisy, denoised, found("calm", "pass")))).tags
    names = [tag for tag, _ in tags]
    assert [names.count(one) for one in ("header", "nav", "main", "footer", "h1")] == [1] * 5
    assert all("scope" in attrs for tag, attrs in tags if tag == "th")
    assert all(attrs.get("alt") for tag, attrs in tags if tag == "img")
    pictures = [attrs for tag, attrs in tags if tag == "svg" and attrs.get("role") == "img"]
    assert len(pictures) >= 4 and all(attrs["aria-label"] for attrs in pictures)
    ids = [attrs["id"] for _, attrs in tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def scene_of(page):
    return json.loads(re.search(r'id="meeum-scene">(.*?)</script>', page, re.DOTALL).group(1))


def test_the_scene_of_the_report_holds_both_images_and_the_spots(rng, tmp_path):
    noisy, denoised = pair(rng)
    storm = found("storm", "fail", places=(Place(0, (1.2, 7.9, 3.0), 2.0, 5.0),))
    calm = found("calm", "pass", places=(Place(0, (4.0, 4.0, 4.0), 2.0, 1.0),))
    page = report(tmp_path, noisy, denoised, audit=audited(noisy, denoised, calm, storm))
    told = scene_of(page)
    assert told["shape"] == [1, 6, 20, 24]
    assert set(told["images"]) == {"noisy", "denoised"}
    assert told["spots"] == [{"label": "about storm", "verdict": "fail", "at": [0, 1, 8, 3]}]
    buttons = [attrs["data-jump"] for tag, attrs in Page(page).tags if "data-jump" in attrs]
    assert buttons == ["0,1,8,3", "0,4,4,4"]  # what passed can be looked at too
    low, high = told["limits"]
    assert low < 1.337 < high < 1.40
    assert told["residual_limit"] > 0


@pytest.mark.parametrize("megabytes", [2, 3, 40])
def test_the_file_is_no_larger_than_asked_for(megabytes, rng, tmp_path):
    noisy = Volume(rng.normal(1.337, 0.002, (30, 160, 160)).astype(np.float32), "ZYX")
    denoised = noisy.with_data(rng.normal(1.337, 0.002, noisy.shape).astype(np.float32))
    page = report(tmp_path, noisy, denoised, report_mb=float(megabytes))
    size = (tmp_path / "report.html").stat().st_size
    assert size <= megabytes * 1e6
    part = scene_of(page)["part"]
    assert bool(part["sentence"]) == (megabytes < 40)
    assert size > (0.6 * megabytes * 1e6 if megabytes < 40 else 3e6)  # and it is made use of


def test_the_report_shows_numbers_settings_and_curve(rng, tmp_path):
    noisy, denoised = pair(rng)
    page = Page(report(tmp_path, noisy, denoised, notes=["The voxel size was assumed."], results=["0.hdf"]))
    statistics = pair_statistics(noisy, denoised)
    for text in (
        f"{statistics.background.mean_before:.5f}",
        f"× {statistics.edge_ratio:.3f}",
        "correlation with the low-passed input",
        "a verdict",
        "masking = UPS",
        "meeum denoise cell.tif",
        "The voxel size was assumed.",
        "0.hdf",
        "3 min 05 s",
        "6 x 20 x 24 voxels (z, y, x)",
        "training step",
        "Autocorrelation",
    ):
        assert text in page.text, text
    curve = [attrs for tag, attrs in page.tags if tag == "polyline"]
    assert len(curve[-1]["points"].split()) == 5


def test_what_the_user_named_is_escaped(rng, tmp_path):
    evil = "</script><script>alert(1)</script>"
    noisy, denoised = pair(rng, source=Path(f"{evil.replace('/', '_')}.tif"), warnings=(evil,), quantity=evil)
    facts = {"title": evil, "command": evil, "settings": evil, "versions": {evil: evil, "meeum": evil}}
    facts |= {"results": [evil], "inputs": [FileFacts(evil, 1, evil, evil)]}
    spot = found("storm", "fail", title=evil, sentence=evil, places=(Place(0, (1, 2, 3), 1.0, 1.0),))
    page = report(tmp_path, noisy, denoised, **facts, audit=audited(noisy, denoised, spot))
    plain = report(tmp_path, *pair(rng), overwrite=True)
    scripts = [[tag for tag, _ in Page(text).tags].count("script") for text in (page, plain)]
    assert scripts[0] == scripts[1]
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;") >= 8


def test_an_inverted_result_and_lost_voxels_are_said_in_words(rng, tmp_path):
    noisy, denoised = pair(rng)
    values = 2.7 - denoised.data
    values[0, 0, :3] = np.nan
    page = report(tmp_path, noisy, noisy.with_data(values))
    assert "contrast is inverted" in page
    assert "3 voxels that were measured have no value" in page


def test_an_existing_report_is_kept(rng, tmp_path):
    noisy, denoised = pair(rng, (20, 24), "YX")
    report(tmp_path, noisy, denoised)
    with pytest.raises(UsageError, match="--overwrite"):
        report(tmp_path, noisy, denoised, title="Another")
    assert "Another" not in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Another" in report(tmp_path, noisy, denoised, title="Another", overwrite=True)
    assert not list(tmp_path.glob(".*"))


# The audit


def found(measure, verdict, picture=None, **more):
    words = {"title": f"about {measure}", "unit": "sigma", "sentence": f"{measure} <b>was</b> found.", "ideal": 0.0}
    facts = {"value": 0.5, "worse": "above", "effect": 0.5, "effect_unit": "sigma", "bound": 0.1, "picture": picture}
    return Finding(measure=measure, verdict=verdict, **(words | facts | more))


def audited(noisy, denoised, *findings):
    return judge(gather(noisy, denoised), {"all": lambda pair: list(findings)})


def plane(rng, shape=(20, 30), **more):
    return Picture("a plane", rng.normal(size=shape), "sigma", **more)


def test_the_report_has_the_verdicts_as_text_and_the_gravest_first(rng, tmp_path):
    noisy, denoised = pair(rng)
    audit = audited(
        noisy, denoised, found("calm", "pass"), found("fog", "cannot tell", reason="it is dark"), found("storm", "fail")
    )
    text = report(tmp_path, noisy, denoised, audit=audit)
    page = Page(text).text
    verdicts = [
        page.index(f"{symbol} {word}") for symbol, word in zip("✗?✓", ("fail", "cannot tell", "pass"), strict=True)
    ]
    assert verdicts == sorted(verdicts)
    assert "fog <b>was</b> found. Why: it is dark." in page  # escaped
    assert "1 failed, 1 could not be told, 1 passed" in page
    assert "0.5 × noise" in page
    assert "Failed: about storm; 1 measure passed, 1 could not be told." in page
    assert "a proof" in page and "a verdict" not in page
    assert "What it says" not in Page(report(tmp_path, noisy, denoised, overwrite=True)).text


def test_pictures_of_the_gravest_eight_that_did_not_pass(rng, tmp_path):
    noisy, denoised = pair(rng, (20, 24), "YX")
    verdicts = ["pass", *["warn"] * 8, "fail", "cannot tell"]
    audit = audited(noisy, denoised, *(found(f"m{n}", verdict, plane(rng)) for n, verdict in enumerate(verdicts)))
    text = report(tmp_path, noisy, denoised, audit=audit)
    shown = [attrs["alt"] for tag, attrs in Page(text).tags if tag == "img" and "a plane" in attrs["alt"]]
    assert shown == [f"about m{n}: a plane" for n in (9, *range(1, 8))]
    assert not re.search(r"https?://|url\(", outside_scripts(text))


def test_evidence_is_written_for_every_finding_with_a_picture(rng, tmp_path):
    noisy, denoised = pair(rng, (20, 24), "YX")
    audit = audited(
        noisy, denoised, found("calm", "pass", plane(rng)), found("fog", "warn"), found("a b", "fail", plane(rng))
    )
    paths = write_evidence(tmp_path / "new" / "folder", audit)
    assert [path.name for path in paths] == ["01_a_b.png", "02_calm.png"]
    with pytest.raises(UsageError, match="--overwrite"):
        write_evidence(tmp_path / "new" / "folder", audit)
    assert write_evidence(tmp_path / "new" / "folder", audit, overwrite=True) == paths
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == [path.name for path in paths]


def test_evidence_is_read_back_as_it_was_drawn(rng, tmp_path):
    noisy, denoised = pair(rng, (20, 24), "YX")
    audit = audited(
        noisy,
        denoised,
        found("calm", "pass", plane(rng)),
        found("fog", "warn", plane(rng)),
        found("µ", "fail", plane(rng)),
    )
    write_evidence(tmp_path / "kept", audit)
    told = [(one.verdict, one.title) for one in kept_evidence(tmp_path / "kept", most=8)]
    assert told == [("fail", "about µ: a plane"), ("warn", "about fog: a plane")]
    first, again = (
        report(tmp_path, noisy, denoised, overwrite=True, **facts)
        for facts in ({"audit": audit}, {"audit": audit, "evidence": tmp_path / "kept"})
    )
    assert first == again


def test_an_audit_is_read_back_from_its_json(rng):
    noisy, denoised = pair(rng)
    spot = found("storm", "fail", places=(Place(0, (1.5, 2.0, 3.0), 2.0, 5.0),), details={"waves": [1, 2]})
    audit = audited(noisy, denoised, spot, found("fog", "cannot tell", value=math.nan, reason="it is dark"))
    told = json.loads(json.dumps(audit.as_dict(), allow_nan=False))
    again = kept_audit(told, (noisy, denoised), audit.noise, where="audit.json")
    assert again.as_dict() == audit.as_dict()
    assert again.findings[0].places == spot.places
    assert math.isnan(again.findings[1].value)
    del told["findings"][0]["places"]
    with pytest.raises(MeeumError, match=r"audit\.json: not an audit as this meeum writes it \(KeyError: 'places'\)"):
        kept_audit(told, (noisy, denoised), None, where="audit.json")


@pytest.mark.parametrize(
    ("verdicts", "line"),
    [
        (["pass", "pass"], "No damage was found: 2 measures passed."),
        (["pass", "cannot tell"], "No damage found in 1 of 2 measures; 1 could not be told."),
        (["pass", "pass", "cannot tell"], "No damage was found: 2 measures passed, 1 could not be told."),
        (["pass", "cannot tell", "cannot tell"], "No damage found in 1 of 3 measures; 2 could not be told."),
        (["warn", "fail", "pass"], "Failed: m1; worth a warning: m0; 1 measure passed."),
        (["fail"] * 7, "Failed: m0, m1, m2, m3, m4 and 2 more; 0 measures passed."),
        ([], "Nothing could be judged: it was dark."),
    ],
)
def test_the_verdict_in_one_line(verdicts, line, rng):
    noisy, denoised = pair(rng)
    findings = [found(f"m{n}", verdict, title=f"m{n} (in brackets)") for n, verdict in enumerate(verdicts)]
    assert places.verdict_line(replace(audited(noisy, denoised, *findings), reason="it was dark.")) == line


def test_a_pass_of_which_much_could_not_be_told_is_not_shown_as_one(rng, tmp_path):
    noisy, denoised = pair(rng)
    for untold, words in (
        (1, "✓ pass: No damage was found"),
        (2, "? pass as far as can be told: No damage found in 2"),
    ):
        findings = [found(f"m{n}", "pass" if n < 2 else "cannot tell", reason="it is dark") for n in range(2 + untold)]
        text = report(tmp_path, noisy, denoised, audit=audited(noisy, denoised, *findings), overwrite=True)
        assert words in Page(text).text
        assert ('class="overall verdict pass"' in text) == (untold == 1)


def test_the_page_promises_no_more_than_holds(rng, tmp_path):
    """A command that gives minutes repeats nothing exactly; settings.ini has the number of steps."""
    text = Page(report(tmp_path, *pair(rng))).text
    assert "Training time" in text and "Time taken" not in text
    assert "--config settings.ini" in text and "This command" not in text
    audit = Page(report(tmp_path, *pair(rng), overwrite=True, settings="", metrics=())).text
    assert "Time of the audit" in audit and "settings.ini" not in audit
    assert "This command, with the same versions and the same input files, repeats it." in audit


def test_marks_are_circles_at_their_place():
    values = np.zeros((40, 60))
    values[0, 0] = 1
    marked = np.asarray(draw_evidence(Picture("", values, "", marks=((10, 45, 5),)))).astype(int)
    bare = np.asarray(draw_evidence(Picture("", values, ""))).astype(int)
    layout = arrange(values.shape, None)
    step = layout.width / 60
    rows, columns = np.nonzero(np.abs(marked - bare).sum(axis=2))
    assert (rows.min() + rows.max()) / 2 == pytest.approx(layout.origin[1] + 10.5 * step, abs=2)
    assert (columns.min() + columns.max()) / 2 == pytest.approx(layout.origin[0] + 45.5 * step, abs=2)
    assert np.ptp(rows) == pytest.approx(11 * step, abs=6)
    middle = marked[round(layout.origin[1] + 10.5 * step), round(layout.origin[0] + 45.5 * step)]
    assert (middle == bare[layout.origin[1] + 200, layout.origin[0] + 200]).all()  # hollow


def test_large_evidence_is_shrunk_without_losing_a_peak(rng):
    values = rng.normal(size=(3000, 1000)).astype(np.float32)
    values[1234, 567], values[2000, 100] = 90, -80
    drawn = draw_evidence(Picture("", values, "", diverging=True, marks=((1234, 567, 9),)))
    assert max(drawn.size) < 1.5 * LONGEST_EVIDENCE
    from meeum.report.evidence import _shrunk

    small, step = _shrunk(values)
    assert (step, small.shape) == (6, (500, 167))
    assert (small[1234 // 6, 567 // 6], small[2000 // 6, 100 // 6]) == (90, -80)


@pytest.mark.parametrize("values", [np.full((4, 4), np.nan), np.zeros((5, 5)), np.ones(7), np.eye(3)])
def test_odd_evidence_is_drawn(values):
    for diverging in (False, True):
        assert draw_evidence(Picture("a µ title", values, "σ", diverging)).size[0] > 100
