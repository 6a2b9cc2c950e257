"""`meeum report RUN` and `--report-size`: a report made anew is what it was; and the whole page in a browser."""

import hashlib
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from browser import open_page
from command import TINY, TWO_STEPS, call

from meeum import api, io, phantom, reopening, results, run
from meeum.job import Job
from meeum.settings import assumed, override


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run on a small tomogram, cell.TCF beside it."""
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("reports")
    io.write(phantom.make((16, 40, 40), seed=0).noisy, place / "cell.TCF")
    list(run.start(job(place / "cell.TCF", place / "run")))
    return place / "run"


def job(file: Path, target: Path, *more: str) -> Job:
    volume = api.read(file)
    words = [*TINY[1::2], "training.steps=4", "output.live=false", *more]
    settings = override(assumed(volume.spatial_shape), words)
    return Job([volume], target, settings, "meeum denoise cell.TCF --out 'my run'")


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "run"))


def scene_of(path: Path) -> dict[str, Any]:
    found = re.search(r'id="meeum-scene">(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    told: dict[str, Any] = json.loads(found[1])
    return told


def test_a_report_is_made_anew_after_it_was_deleted(copied: Path) -> None:
    first = (copied / "report.html").read_text(encoding="utf-8")
    assert scene_of(copied / "report.html")["spots"] is not None
    (copied / "report.html").unlink()
    outcome = call("report", copied)
    assert (outcome.code, outcome.err) == (0, "")
    assert re.fullmatch(rf"report  {re.escape(str(copied))}/report\.html \([\d.]+ MB\)\n", outcome.out)
    again = (copied / "report.html").read_text(encoding="utf-8")
    assert again == first


def test_what_the_run_noted_is_told(made: Path) -> None:
    page = (made / "report.html").read_text(encoding="utf-8")
    told = json.loads((made / "summary.json").read_text())["run"]
    (file,) = told["inputs"]
    assert file["sha256"] in page and len(file["sha256"]) == 64
    assert "meeum denoise cell.TCF --out &#39;my run&#39;" in page
    assert json.loads((made / "versions.json").read_text())["processor"] in page
    assert "results/0.hdf" in page


def test_out_and_size(copied: Path, tmp_path: Path) -> None:
    before = (copied / "report.html").read_bytes()
    assert call("report", copied, "--out", tmp_path / "a.html", "--report-size", 2).code == 0
    assert (tmp_path / "a.html").stat().st_size <= 2e6
    assert (copied / "report.html").read_bytes() == before
    refused = call("report", copied, "--out", tmp_path / "a.html")
    assert refused.code == 2 and "--overwrite" in refused.err
    assert call("report", copied, "--out", tmp_path / "a.html", "--overwrite").code == 0
    assert call("report", copied, "--report-size", 1).code == 2
    refused = call("report", copied, "--out", copied / "results" / "0.hdf", "--overwrite")
    assert refused.code == 2 and (copied / "results" / "0.hdf").read_bytes()[1:4] == b"HDF"


def test_the_size_is_a_setting_of_denoise(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = (*TINY, *TWO_STEPS, "--set", "output.live=false", "--set", "output.formats=npy")
    assert call("denoise", made.parent / "cell.TCF", "--out", "out", *words, "--report-size", 2.5).code == 0
    assert re.search(r"^report_mb = 2\.5$", Path("out/settings.ini").read_text(), re.MULTILINE)
    assert Path("out/report.html").stat().st_size <= 2.5e6
    first = Path("out/report.html").read_text(encoding="utf-8")
    assert call("report", "out").code == 0  # no HDF5: the input is read where it was
    assert Path("out/report.html").read_text(encoding="utf-8") == first
    (Path("out/summary.json")).write_text(
        Path("out/summary.json").read_text().replace(str(made.parent / "cell.TCF"), str(tmp_path / "moved.TCF"))
    )
    refused = call("report", "out")
    assert refused.code == 2 and "moved.TCF is not there any more" in refused.err


def test_the_report_of_an_audit_is_the_same_page(made: Path, tmp_path: Path) -> None:
    images = made / "results" / "0.hdf"
    assert call("audit", images, "--report", tmp_path / "a.html", "--report-size", 2).code == 0
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert len(page.encode()) <= 2e6
    assert hashlib.sha256(images.read_bytes()).hexdigest() in page
    assert scene_of(tmp_path / "a.html")["shape"] == [1, 16, 40, 40]
    for part in ("audit", "statistics", "noise", "provenance"):
        assert f'<section id="{part}"' in page


def test_folders_without_a_finished_run_are_refused(copied: Path, tmp_path: Path) -> None:
    assert "no such folder" in call("report", tmp_path / "nothing").err
    (tmp_path / "other").mkdir()
    refused = call("report", tmp_path / "other")
    assert refused.code == 2 and "not the folder of a run (no command.txt)" in refused.err
    (copied / "audit.json").unlink()
    refused = call("report", copied)
    assert refused.code == 2 and "not finished (no audit.json)" in refused.err and "--resume" in refused.err


@pytest.mark.parametrize("content", ["{", "[]", '{"findings": [{}]}'])
def test_a_damaged_audit_is_told(content: str, copied: Path) -> None:
    (copied / "audit.json").write_text(content)
    before = (copied / "report.html").read_bytes()
    refused = call("report", copied)
    assert refused.code == 1 and "audit.json" in refused.err
    assert (copied / "report.html").read_bytes() == before


def test_a_run_of_an_earlier_version_has_a_report_too(copied: Path) -> None:
    told = json.loads((copied / "summary.json").read_text())
    del told["run"]
    (copied / "summary.json").write_text(json.dumps(told))
    shutil.rmtree(copied / "previews")
    settings = (copied / "settings.ini").read_text()
    (copied / "settings.ini").write_text(re.sub(r"(?m)^(report_mb|live) = .*\n", "", settings))
    assert call("report", copied).code == 0
    assert "cell.TCF" in (copied / "report.html").read_text(encoding="utf-8")


def test_a_time_lapse_is_opened_frame_by_frame(tmp_path: Path) -> None:
    film = phantom.make((8, 32, 32), seed=2, settings=phantom.PhantomSettings(frames=3))
    io.write(film.noisy, tmp_path / "film.TCF")
    list(run.start(job(tmp_path / "film.TCF", tmp_path / "run")))
    found = reopening.images(tmp_path / "run")
    assert (found.noisy.axes, found.noisy.shape, found.noisy.name) == ("TZYX", (3, 8, 32, 32), "film.TCF")
    assert (found.noisy.read() == api.read(tmp_path / "film.TCF").read()).all()
    first = scene_of(tmp_path / "run" / "report.html")
    assert call("report", tmp_path / "run").code == 0
    assert scene_of(tmp_path / "run" / "report.html") == first
    assert first["shape"] == [3, 8, 32, 32]


def test_what_was_taken_out_first_stays_out(tmp_path: Path) -> None:
    clean = phantom.make((8, 64, 64), seed=1).noisy
    values = clean.read()
    values += 0.01 * np.cos(2 * np.pi * np.arange(64) / 4).astype(np.float32)
    io.write(clean.with_data(values), tmp_path / "cell.TCF")
    list(run.start(job(tmp_path / "cell.TCF", tmp_path / "run", "input.remove_lattice=true")))
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["removed"]["lattices"]
    found = reopening.images(tmp_path / "run")
    assert found.removed is not None
    original = api.read(tmp_path / "cell.TCF").read()
    assert found.noisy.read() + found.removed.read() == pytest.approx(original, abs=1e-6)
    assert np.abs(found.removed.read()).max() > 0.005


def test_a_resumed_run_keeps_no_pictures_of_an_earlier_audit(copied: Path) -> None:
    old = copied / "previews" / results.EVIDENCE / "99_old.png"
    old.parent.mkdir(exist_ok=True)
    old.write_bytes(b"of an earlier audit")
    source = copied.parent / "cell.TCF"
    shutil.copy(Path(json.loads((copied / "summary.json").read_text())["run"]["source"]), source)
    again = replace(job(source, copied), resume=True)
    list(run.start(again))
    assert not old.exists()


# The page


def test_the_whole_page_works_in_a_browser(browser: Any, copied: Path) -> None:
    told = json.loads((copied / "audit.json").read_text())
    told["findings"][0] |= {
        "verdict": "fail",
        "places": [{"frame": 0, "centre": [3.0, 20.0, 31.0], "radius": 2.0, "strength": 1.0}],
    }
    (copied / "audit.json").write_text(json.dumps(told))
    assert call("report", copied).code == 0
    opened = open_page(browser, copied / "report.html")
    page = opened.page
    page.evaluate("meeum.ready")
    opened.drawn()
    assert page.locator("#meeum-viewer canvas:visible").count() >= 3
    noisy = api.read(copied / "results" / "0.hdf", dataset="input").read()
    assert page.evaluate("meeum.valueAt('noisy', 0, 3, 20, 31)") == pytest.approx(noisy[3, 20, 31], abs=1e-4)
    slider = page.locator("#meeum-viewer input[type=range]").first
    assert slider.input_value() != "3"
    page.locator("#audit button[data-jump='0,3,20,31']").click()
    opened.drawn()
    assert slider.input_value() == "3"
    assert page.evaluate("window.scrollY") < page.locator("#audit").evaluate("e => e.offsetTop")
    assert page.locator(".chart.live .u-over").count() == page.locator("figure.chart").count() > 3
    button = page.locator("#provenance button[data-copy=command]")
    button.click()
    button.filter(has_text="copied").wait_for()
    page.evaluate("document.body.append(Object.assign(document.createElement('textarea'), {id: 'paste'}))")
    page.locator("#paste").press("Control+V")
    assert page.locator("#paste").input_value() == "meeum denoise cell.TCF --out 'my run'"
    assert opened.problems == [] and opened.left == []
    page.close()


def test_charts_answer_to_the_pointer_and_change_their_scale(browser: Any, copied: Path) -> None:
    rows = ["step,loss,validation,error_left,learning_rate,seconds"]
    rows += [f"{n},{1000 / n**2},nan,{2.0 / n},0.1,1" for n in range(1, 101)]
    (copied / "metrics.csv").write_text("\n".join(rows) + "\n")
    assert call("report", copied).code == 0
    opened = open_page(browser, copied / "report.html")
    chart = opened.page.locator("#training figure.chart").first
    scale = chart.locator("button.scale")
    assert scale.get_attribute("aria-pressed") == "true"
    scale.click()
    assert scale.get_attribute("aria-pressed") == "false"
    over = chart.locator(".u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    opened.page.mouse.move(box["x"] + box["width"] - 1, box["y"] + box["height"] / 2)
    values = chart.locator(".u-legend .u-value")
    values.first.filter(has_text=re.compile("^100$")).wait_for()
    assert values.nth(1).text_content() == "0.1"
    assert opened.problems == [] and opened.left == []
    opened.page.close()
