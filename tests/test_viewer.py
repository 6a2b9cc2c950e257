"""The viewer of a page, in a browser: what it shows and says is what the arrays hold."""

import base64
import hashlib
import io
import re
import shutil
import subprocess
import time
from importlib.resources import files
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from browser import Opened, open_page
from PIL import Image

from meeum.report import scene, viewer
from meeum.volume import Volume

EDGES = (0.4, 0.2, 0.1)  # µm, z y x
SHAPE = (6, 14, 20)
LIMITS = (1.33, 1.36)
ASSETS = files("meeum.report.viewer")
AXES = {"z": (1, 2), "y": (0, 2), "x": (0, 1)}  # rows and columns of each plane


@pytest.fixture
def pair(rng):
    """Noisy on a lattice of steps of 0.0001, denoised not; some voxels without data."""
    noisy = (rng.integers(13300, 13600, SHAPE) / 10000).astype(np.float32)
    noisy[0, :2, :3] = np.nan
    denoised = rng.normal(1.345, 0.004, SHAPE).astype(np.float32)
    return noisy, denoised


def volume(data, axes="ZYX", **details):
    edges = EDGES[-len(axes.removeprefix("T")) :]
    known = {"voxel_size_um": edges, "quantity": "refractive index", "medium_index": 1.337, "no_data": float("nan")}
    return Volume(data, axes, **{**known, **details})


@pytest.fixture
def shown(browser, tmp_path):
    """A function from images to their page, opened; what it complains about fails the test."""
    pages = []

    def show(noisy, denoised=None, **more):
        told = scene.embedded(noisy, denoised, **{"limits": LIMITS, "residual_limit": 0.02, **more})
        path = tmp_path / f"page{len(pages)}.html"
        path.write_text(viewer.page(told, title="test"), encoding="utf-8")
        opened = open_page(browser, path)
        pages.append(opened)
        opened.page.evaluate("meeum.ready")
        opened.drawn()
        return opened

    yield show
    for opened in pages:
        opened.page.close()
        assert opened.problems == []
        assert opened.left == []


def press(opened, *keys):
    for key in keys:
        opened.page.keyboard.press(key)
    opened.drawn()


def place_on_screen(opened, shape, edges, row, column, *, pane=0):
    """Where the middle of a voxel of the shown plane lies, when the whole plane fits into its pane."""
    box = opened.page.locator("canvas.mv-canvas:visible").nth(pane).bounding_box()
    zoom = min(box["width"] / (shape[1] * edges[1]), box["height"] / (shape[0] * edges[0]))
    x = box["x"] + box["width"] / 2 + (column + 0.5 - shape[1] / 2) * edges[1] * zoom
    y = box["y"] + box["height"] / 2 + (row + 0.5 - shape[0] / 2) * edges[0] * zoom
    return x, y


def hover(opened, shape, edges, row, column, *, pane=0):
    opened.page.mouse.move(*place_on_screen(opened, shape, edges, row, column, pane=pane))


def read_out(opened):
    """Place and values as they are written below the pictures."""
    parts = opened.page.eval_on_selector_all(
        ".mv-readout .mv-part", "found => found.map(part => [part.dataset.part, part.querySelector('b').textContent])"
    )
    return {name: text.replace("−", "-") for name, text in parts}


def place(text):
    return {letter: int(index) for letter, index in re.findall(r"([tzyx]) (\d+)", text)}


def drag(opened, start, end):
    mouse = opened.page.mouse
    mouse.move(*start)
    mouse.down()
    mouse.move(*end, steps=3)
    mouse.up()
    opened.drawn()


def picture(opened, pane=0):
    return opened.page.locator("canvas.mv-canvas:visible").nth(pane).evaluate("canvas => canvas.toDataURL()")


def colours(opened, shape, edges, pane=0):
    """Red, green and blue at the middle of each voxel of the shown plane."""
    canvas = opened.page.locator("canvas.mv-canvas:visible").nth(pane)
    box = canvas.bounding_box()
    rows = [place_on_screen(opened, shape, edges, row, 0, pane=pane)[1] - box["y"] for row in range(shape[0])]
    columns = [place_on_screen(opened, shape, edges, 0, column, pane=pane)[0] - box["x"] for column in range(shape[1])]
    png = base64.b64decode(picture(opened, pane).partition(",")[2])
    pixels = np.asarray(Image.open(io.BytesIO(png)))
    return pixels[np.floor(rows).astype(int)[:, None], np.floor(columns).astype(int), :3]


def expected_colours(values, colormap="viridis", limits=LIMITS):
    text = viewer.colour_table(colormap)
    table = np.frombuffer(bytes.fromhex(text), np.uint8).reshape(256, 3)
    share = np.nan_to_num((values.astype(np.float64) - limits[0]) * (256 / (limits[1] - limits[0])))
    found = table[share.clip(0, 255).astype(int)]
    return np.where(np.isnan(values)[..., None], 150, found)


def test_the_bytes_of_a_page_are_the_arrays(shown, pair):
    opened = shown(volume(pair[0]), volume(pair[1]))
    count = "([name, [Z, Y, X]]) => { const found = []; for (let z = 0; z < Z; z++) for (let y = 0; y < Y; y++) "
    count += (
        "for (let x = 0; x < X; x++) { const v = meeum.valueAt(name, 0, z, y, x); found.push(v === v ? v : null); }"
    )
    count += " return found; }"
    noisy, denoised = (
        np.array(opened.page.evaluate(count, [name, SHAPE]), dtype=np.float64).reshape(SHAPE)
        for name in ("noisy", "denoised")
    )
    assert np.array_equal(noisy.astype(np.float32), pair[0], equal_nan=True)
    step = np.ptp(pair[1].astype(np.float64)) / 65535
    assert np.abs(denoised - pair[1]).max() <= step / 2 * (1 + 1e-6)


@pytest.mark.parametrize("axis", ["z", "y", "x"])
def test_the_read_out_is_the_arrays_value(shown, pair, axis):
    opened = shown(volume(pair[0]), volume(pair[1]))
    press(opened, axis)
    rows, columns = AXES[axis]
    shape, edges = (SHAPE[rows], SHAPE[columns]), (EDGES[rows], EDGES[columns])
    middle = [length // 2 for length in SHAPE]
    for pane, row, column in ((0, 1, 1), (1, shape[0] - 1, shape[1] - 1), (2, 3, shape[1] // 2)):
        hover(opened, shape, edges, row, column, pane=pane)
        at = list(middle)
        at[rows], at[columns] = row, column
        said = read_out(opened)
        assert place(said["place"]) == dict(zip("zyx", at, strict=True))
        noisy, denoised = (float(image[tuple(at)]) for image in pair)
        assert said["noisy"] == f"{noisy:.4f}"
        assert float(said["denoised"]) == pytest.approx(denoised, abs=1e-6)
        assert float(said["difference"]) == pytest.approx(noisy - denoised, abs=1e-6)


def test_a_voxel_without_data_says_so(shown, pair):
    opened = shown(volume(pair[0]), volume(pair[1]))
    assert opened.page.evaluate("meeum.goTo(0, 0, 1, 2)")
    opened.drawn()
    said = read_out(opened)
    assert (said["noisy"], said["difference"]) == ("no data", "no data")
    assert said["denoised"] != "no data"


@pytest.mark.parametrize("axis", ["z", "y", "x", "m"])
def test_each_picture_has_the_colours_of_its_values(shown, pair, axis):
    opened = shown(volume(pair[0]), volume(pair[1]))
    press(opened, axis)
    rows, columns = AXES.get(axis, AXES["z"])
    shape, edges = (SHAPE[rows], SHAPE[columns]), (EDGES[rows], EDGES[columns])
    with np.errstate(all="ignore"):
        planes = {"m": pair[0][1:].max(0)} | {
            letter: np.take(pair[0], SHAPE[i] // 2, axis=i) for i, letter in enumerate("zyx")
        }
    plane = np.fmax(planes["m"], pair[0][0]) if axis == "m" else planes[axis]
    found, expected = colours(opened, shape, edges), expected_colours(plane)
    same = (np.abs(found.astype(int) - expected) <= 1).all(axis=-1)  # a canvas may round a colour
    assert same.mean() > 0.96  # the scale bar hides some voxels; a value between two colours may have either


def test_the_slider_moves_the_picture(shown, pair):
    opened = shown(volume(pair[0]), volume(pair[1]))
    before = picture(opened), picture(opened, 2)
    opened.page.get_by_label("Plane along z").fill("5")
    opened.drawn()
    assert picture(opened) != before[0]
    assert picture(opened, 2) != before[1]
    shape, edges = SHAPE[1:], EDGES[1:]
    hover(opened, shape, edges, 2, 3)
    assert read_out(opened)["noisy"] == f"{pair[0][5, 2, 3]:.4f}"
    press(opened, "ArrowDown", "ArrowDown")
    hover(opened, shape, edges, 2, 4)
    assert place(read_out(opened)["place"])["z"] == 3


def test_blink_swaps_noisy_and_denoised_in_place(shown, pair):
    opened = shown(volume(pair[0]), volume(pair[1]))
    press(opened, "2")
    denoised = picture(opened)
    press(opened, "1")
    noisy = picture(opened)
    assert noisy != denoised
    press(opened, "b")
    assert picture(opened) == denoised
    press(opened, "b")
    assert picture(opened) == noisy


def test_swipe_shows_both_sides_of_a_divider(shown, pair):
    opened = shown(volume(pair[0]), volume(pair[1]))
    press(opened, "1")
    noisy = colours(opened, SHAPE[1:], EDGES[1:])
    press(opened, "2")
    denoised = colours(opened, SHAPE[1:], EDGES[1:])
    press(opened, "s")
    both = colours(opened, SHAPE[1:], EDGES[1:])
    assert np.array_equal(both[:, :9], noisy[:, :9])
    assert np.array_equal(both[:, 11:], denoised[:, 11:])


def test_zoom_and_pan_are_linked(shown, pair):
    opened = shown(volume(pair[0]), volume(pair[1]))
    hover(opened, SHAPE[1:], EDGES[1:], 4, 5)
    opened.page.mouse.wheel(0, -240)
    opened.page.mouse.wheel(0, -240)
    opened.drawn()
    boxes = [opened.page.locator("canvas.mv-canvas:visible").nth(i).bounding_box() for i in range(3)]
    corner = []
    for box in boxes:
        opened.page.mouse.move(box["x"] + 40, box["y"] + box["height"] / 2)
        corner.append(read_out(opened)["place"])
    assert len(set(corner)) == 1
    start = (boxes[1]["x"] + 60, boxes[1]["y"] + boxes[1]["height"] / 2)
    drag(opened, start, (start[0] + 90, start[1]))
    opened.page.mouse.move(boxes[2]["x"] + 40, boxes[2]["y"] + boxes[2]["height"] / 2)
    assert place(read_out(opened)["place"])["x"] < place(corner[0])["x"]


def test_a_profile_is_the_mean_across_its_width(shown, pair):
    opened = shown(volume(pair[0]), volume(pair[1]))
    press(opened, "l")
    where = [place_on_screen(opened, SHAPE[1:], EDGES[1:], 6, column) for column in (2, 17)]
    drag(opened, *where)
    profile = opened.page.evaluate("meeum.measured().profile")
    assert np.allclose(profile["positions"], 0.1 * np.arange(16))
    assert np.allclose(profile["values"][0], pair[0][3, 6, 2:18], atol=1e-6)
    assert np.allclose(profile["values"][1], pair[1][3, 6, 2:18], atol=1e-6)
    field = opened.page.get_by_label("width, voxels")
    field.fill("5")
    field.press("Enter")
    opened.drawn()
    # five points 0.1 µm apart across rows of 0.2 µm: at -1, -1/2, 0, 1/2 and 1 rows
    rows = np.array([0.5 + 1, 1 + 0.5 + 0.5, 0.5 + 1]) / 5
    expected = np.tensordot(rows, pair[1][3, 5:8, 2:18].astype(np.float64), axes=1)
    assert np.allclose(opened.page.evaluate("meeum.measured().profile.values")[1], expected, atol=1e-6)


def table_row(opened, name, *, table=1):
    cells = opened.page.locator(".mv-table").nth(table).locator(f'tr[data-row="{name}"] td').all_inner_texts()
    return [float(text.replace("−", "-").replace("%", "")) for text in cells]


def test_statistics_of_a_rectangle(shown, pair):
    opened = shown(volume(pair[0]), volume(pair[1]))
    press(opened, "r")
    drag(opened, *(place_on_screen(opened, SHAPE[1:], EDGES[1:], *corner) for corner in ((2, 1), (9, 14))))
    box = [image[3, 2:10, 1:15].astype(np.float64) for image in pair]
    for found, values in zip(opened.page.evaluate("meeum.measured().region"), box, strict=True):
        assert found["n"] == values.size
        assert found["mean"] == pytest.approx(values.mean(), abs=1e-7)
        assert found["std"] == pytest.approx(values.std(), abs=1e-7)
        assert found["above"] == (values > np.float32(1.345)).sum()
    voxel = np.prod(EDGES)
    assert table_row(opened, "above, µm³") == pytest.approx(
        [(v > np.float32(1.345)).sum() * voxel for v in box], rel=1e-3
    )
    assert table_row(opened, "dry mass, pg") == pytest.approx([(v - 1.337).sum() * voxel / 0.19 for v in box], rel=1e-3)
    for label, value in (("α, µm³/pg", "0.18"), ("n of medium", "1.33")):
        field = opened.page.get_by_label(label)
        field.fill(value)
        field.press("Enter")
    opened.page.get_by_label("through all planes").check()
    opened.drawn()
    deep = [image[:, 2:10, 1:15].astype(np.float64) for image in pair]
    mass = [np.nansum(v - 1.33) * voxel / 0.18 for v in deep]
    assert table_row(opened, "dry mass, pg") == pytest.approx(mass, rel=1e-3)
    assert opened.page.evaluate("meeum.measured().region[0].n") == np.isfinite(deep[0]).sum()


def test_the_histogram_counts_every_voxel(shown, pair):
    opened = shown(volume(pair[0]), volume(pair[1]))
    found = opened.page.evaluate("meeum.measured().histogram")
    assert [sum(counts) for counts in found["counts"]] == [280, 280]
    edges = found["start"] + found["width"] * np.arange(found["count"] + 1)
    assert found["counts"][0] == np.histogram(pair[0][3].astype(np.float64), edges)[0].tolist()
    opened.page.get_by_label("Histogram of").select_option("volume")
    field = opened.page.get_by_label("threshold", exact=True)
    field.fill("1.35")
    field.press("Enter")
    opened.drawn()
    assert sum(opened.page.evaluate("meeum.measured().histogram.counts[0]")) == np.isfinite(pair[0]).sum()
    known = pair[0][np.isfinite(pair[0])]
    expected = 100 * (known > np.float32(1.35)).mean()
    assert table_row(opened, "above", table=0)[0] == pytest.approx(expected, rel=6e-3)


def test_window_and_lock(shown, pair):
    opened = shown(volume(pair[0]), volume(pair[1]))
    before = [picture(opened, i) for i in range(2)]
    low = opened.page.get_by_label("low of noisy, refractive index")
    opened.page.get_by_label("one window for both").uncheck()
    low.fill("1.34")
    low.press("Enter")
    opened.drawn()
    assert picture(opened, 0) != before[0]
    assert picture(opened, 1) == before[1]
    opened.page.get_by_label("one window for both").check()
    opened.drawn()
    assert picture(opened, 1) != before[1]
    plane = pair[1][3]
    found = colours(opened, SHAPE[1:], EDGES[1:], pane=1)
    assert np.abs(found.astype(int) - expected_colours(plane, limits=(1.34, 1.36))).max() <= 6


def test_spots_and_links_jump(shown, pair):
    spots = [
        {"label": "lattice", "verdict": "fail", "at": [0, 5, 3, 4]},
        {"label": "far", "verdict": "warn", "at": [0, 9, 0, 0]},
    ]
    opened = shown(volume(pair[0]), volume(pair[1]), spots=spots)
    opened.page.get_by_text("1  lattice").click()
    opened.drawn()
    assert place(read_out(opened)["place"]) == {"z": 5, "y": 3, "x": 4}
    assert opened.page.get_by_text("2  far").is_disabled()
    opened.page.evaluate("document.body.insertAdjacentHTML('afterbegin', '<a data-jump=\"0,1,2,3\">x</a>')")
    opened.page.locator("a[data-jump]").click()
    opened.drawn()
    assert place(read_out(opened)["place"]) == {"z": 1, "y": 2, "x": 3}
    assert read_out(opened)["noisy"] == f"{pair[0][1, 2, 3]:.4f}"


def test_a_flat_image_has_no_planes_to_choose(shown, pair):
    opened = shown(volume(pair[0][1], "YX"), volume(pair[1][1], "YX"))
    assert opened.page.get_by_role("button", name="XZ").count() == 0
    assert opened.page.locator(".mv-slider:visible").count() == 0
    hover(opened, SHAPE[1:], EDGES[1:], 3, 4)
    assert read_out(opened)["noisy"] == f"{pair[0][1, 3, 4]:.4f}"
    press(opened, "ArrowUp", "y", "m", "b")


def test_a_time_lapse_has_a_slider_for_time(shown, pair):
    film = np.stack([pair[0] + np.float32(shift) for shift in range(4)])
    opened = shown(volume(film, "TZYX", frame_interval_s=5.0), limits=(1, 6))
    opened.page.get_by_label("Time").fill("2")
    opened.drawn()
    hover(opened, SHAPE[1:], EDGES[1:], 3, 4)
    assert float(read_out(opened)["noisy"]) == pytest.approx(film[2, 3, 3, 4], abs=1e-4)
    press(opened, "ArrowRight")
    assert opened.page.evaluate("meeum.valueAt('noisy', 3, 3, 3, 4)") == pytest.approx(film[3, 3, 3, 4], abs=1e-4)
    assert "15.0 s" in opened.page.locator(".mv-sliders").inner_text()


def test_a_single_image_is_shown_alone(shown, pair):
    opened = shown(volume(pair[0], voxel_size_um=None, quantity="intensity"))
    assert opened.page.locator("canvas.mv-canvas:visible").count() == 1
    assert opened.page.get_by_role("button", name="Blink").count() == 0
    hover(opened, SHAPE[1:], (1, 1), 13, 19)
    assert read_out(opened)["noisy"] == f"{pair[0][3, 13, 19]:.4f}"
    press(opened, "b", "s", "u", "w", "k")


def test_a_part_says_so_and_counts_in_the_whole(shown, rng):
    data = rng.integers(0, 4000, (20, 40, 60)).astype(np.float32)
    opened = shown(volume(data), limits=(0, 4000), most_bytes=20**3 * 8 // 3 + 1)
    assert "20 × 20 × 20 of 20 × 40 × 60 voxels" in opened.page.locator(".mv-part-note").inner_text()
    assert opened.page.evaluate("meeum.valueAt('noisy', 0, 7, 12, 25)") == data[7, 12, 25]
    hover(opened, (20, 20), EDGES[1:], 0, 0)
    assert place(read_out(opened)["place"]) == {"z": 10, "y": 10, "x": 20}
    assert read_out(opened)["noisy"] == f"{data[10, 10, 20]:.0f}"
    assert not opened.page.evaluate("meeum.goTo(0, 0, 0, 0)")


def test_the_keyboard_alone_suffices(shown, pair):
    opened = shown(volume(pair[0]), volume(pair[1]))
    press(opened, "Shift+ArrowRight", "Shift+ArrowDown")
    assert place(read_out(opened)["place"]) == {"z": 3, "y": 8, "x": 11}
    press(opened, "?")
    assert opened.page.get_by_role("dialog").is_visible()
    press(opened, "Escape")
    assert not opened.page.get_by_role("dialog").is_visible()
    count = "found => found.filter(one => !one.getAttribute('aria-label') && !one.labels?.length "
    assert opened.page.eval_on_selector_all("button, input, select", count + "&& !one.textContent.trim()).length") == 0


def test_a_broken_page_says_so(browser, tmp_path, pair):
    told = scene.embedded(volume(pair[0]), limits=LIMITS, residual_limit=1)
    told["shape"] = [1, 2, 2, 2]
    path = tmp_path / "broken.html"
    path.write_text(viewer.page(told), encoding="utf-8")
    opened = open_page(browser, path)
    opened.page.evaluate("meeum.ready")
    assert "1680 voxels where 8 were expected" in opened.page.get_by_role("alert").inner_text()
    opened.page.close()


def test_a_pair_of_140_cubed_opens(shown, rng):
    noisy = (rng.normal(13500, 40, (140, 140, 140)).round() / 10000).astype(np.float32)
    denoised = (noisy + noisy[::-1]) / 2
    begun = time.perf_counter()
    opened = shown(volume(noisy), volume(denoised))
    ready = opened.page.evaluate("performance.getEntriesByName('meeum-ready')[0].startTime")
    size = opened.page.evaluate("document.documentElement.outerHTML.length")
    print(
        f"140³ pair: {size / 1e6:.1f} MB, ready {ready:.0f} ms after the page was asked for, "
        f"{time.perf_counter() - begun:.1f} s with writing it"
    )
    assert opened.page.evaluate("meeum.valueAt('noisy', 0, 139, 7, 100)") == pytest.approx(noisy[139, 7, 100], abs=1e-6)


def test_vendored_files_are_what_their_readme_says():
    readme = ASSETS.joinpath("vendor/README.md").read_text(encoding="utf-8")
    stated = dict(re.findall(r"^\| `([^`]+)` .*`([0-9a-f]{64})`", readme, flags=re.M))
    assert set(stated) == {"uPlot.iife.min.js", "uPlot.min.css"}
    for name, digest in stated.items():
        assert hashlib.sha256(ASSETS.joinpath(f"vendor/{name}").read_bytes()).hexdigest() == digest
    assert "MIT License" in ASSETS.joinpath("vendor/uPlot-LICENSE.txt").read_text(encoding="utf-8")


def test_every_script_is_listed_and_its_functions_have_names_of_their_own():
    names = {one.name for one in ASSETS.iterdir() if one.name.endswith(".js")}
    assert names == {f"{name}.js" for name in viewer.SCRIPTS}
    found = re.findall(r"^(?:async )?function (\w+)", viewer.script(), flags=re.M)
    assert len(found) > 100
    assert sorted(found) == sorted(set(found))


def test_the_script_is_javascript(tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed, so the script is not checked")
    path = tmp_path / "viewer.js"
    path.write_text(viewer.script(), encoding="utf-8")
    subprocess.run([node, "--check", str(path)], check=True)


class Planes:
    """A server of planes, made of an array: a page asks it through playwright, and nothing leaves the test."""

    def __init__(self, html, images):
        self.html, self.images, self.asked = html, images, []

    def answer(self, route):
        url = urlsplit(route.request.url)
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path != "/plane":
            route.fulfill(body=self.html, content_type="text/html")
            return
        self.asked.append(asked)
        plane, step = self.plane(asked)
        headers = {"X-Rows": str(plane.shape[0]), "X-Columns": str(plane.shape[1]), "X-Step": str(step)}
        route.fulfill(body=plane.astype("<f4").tobytes(), headers=headers)

    def plane(self, asked):
        image = self.images[asked["image"]]
        axis, index = "zyx".find(asked["axis"]), int(asked["index"])
        plane = image.max(0) if asked["axis"] == "max" else np.take(image, index, axis=axis)
        if "rows" in asked:
            spans = (slice(*map(int, asked[name].split(":"))) for name in ("rows", "columns"))
            return plane[tuple(spans)], 1
        step = 2 if max(plane.shape) > 512 else 1
        return plane[::step, ::step], step


def test_planes_come_from_a_server(browser, rng):
    noisy = (rng.integers(13300, 13600, (3, 600, 700)) / 10000).astype(np.float32)
    denoised = noisy + np.float32(0.001)
    told = scene.served(volume(noisy), volume(denoised), limits=LIMITS, residual_limit=0.02)
    server = Planes(viewer.page(told), {"noisy": noisy, "denoised": denoised})
    page = browser.new_page(viewport={"width": 1290, "height": 800})
    page.route("**/*", server.answer)
    page.goto("http://viewer.invalid/")
    opened = Opened(page)
    page.evaluate("meeum.ready")
    opened.drawn()
    assert {(one["image"], one["axis"], one["index"]) for one in server.asked} == {
        ("noisy", "z", "1"),
        ("denoised", "z", "1"),
    }
    hover(opened, (600, 700), EDGES[1:], 200, 300)
    assert float(read_out(opened)["noisy"]) == pytest.approx(noisy[1, 200, 300], abs=1e-5)
    for _ in range(8):
        page.mouse.wheel(0, -240)
    for _ in range(300):  # it asks a little after the last turn of the wheel
        opened.drawn()
        detail = [one for one in server.asked if "rows" in one]
        if detail:
            break
        page.wait_for_timeout(100)
    assert detail
    page.get_by_label("Plane along z").fill("2")
    opened.drawn()
    first, last = map(int, detail[0]["rows"].split(":"))
    assert first <= 200 < last
    page.close()
