"""The page of a training: what it says, what it costs, and that the training does not notice it."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from command import TINY, TWO_STEPS, call

from meeum import api, checkpoint, folder, glimpse, io, live, phantom, preparation, run, session
from meeum.errors import MeeumError
from meeum.job import Event, Job
from meeum.report.live import Picture, Standing, page
from meeum.settings import assumed, override
from meeum.stages import STAGES
from meeum.volume import Volume

SHAPE = (12, 32, 32)
STEPS = 4


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Volume:
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("image") / "cell.TCF"
    return io.read(io.write(phantom.make(SHAPE, seed=0).noisy, path))


def job(image: Volume, target: Path, *words: str, steps: int = STEPS) -> Job:
    found = override(assumed(image.spatial_shape), [*TINY[1::2], f"training.steps={steps}", *words])
    return Job([image], target, found, "meeum train cell.TCF", denoise=False)


def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look and write at each step, whatever it costs."""
    monkeypatch.setattr(live, "BETWEEN", 0.0)
    monkeypatch.setattr(live.Purse, "allows", lambda purse, passed: True)


# A look at the network


def test_look_is_the_network_on_a_piece(image: Volume) -> None:
    settings = job(image, Path()).settings
    running = preparation.prepare([image], settings)
    list(running.run())
    seen = glimpse.take(image, running, 12 * 32 * 32)
    assert seen.step == STEPS
    assert seen.region == (slice(6, 7), slice(0, 32), slice(0, 32))
    np.testing.assert_array_equal(seen.noisy, image.read()[6])
    model = replace(running.snapshot(), settings=settings.changed("prediction", band_limit=False, flips=False))
    whole = api.denoise(image, model).read()[6]
    np.testing.assert_allclose(seen.denoised, whole, atol=1e-5)
    assert np.abs(seen.denoised - seen.noisy).max() > 1e-3


def test_look_costs_no_more_voxels_than_allowed(image: Volume) -> None:
    running = preparation.prepare([image], job(image, Path()).settings)
    sides = [glimpse.take(image, running, most).noisy.shape for most in (1, 12 * 16 * 16, 10**9)]
    assert sides[0] == running.model.stride[1:]  # there must be something to look at
    assert sides[1] == (16, 16)
    assert sides[2] == (32, 32)


def test_look_at_flat_films_and_what_was_not_measured() -> None:
    values = np.random.default_rng(0).normal(1.34, 0.01, (3, 40, 36)).astype(np.float32)
    values[:, :30, :] = 0
    film = Volume(values, "TYX", no_data=0.0)
    words = [word.replace("8,16,16", "8,8") for word in TINY[1::2]]
    settings = override(assumed((40, 36)), [*words, "training.steps=1", "training.objective=masked"])
    running = preparation.prepare([film], settings)
    seen = glimpse.take(film, running, 10**6)
    assert seen.region[0] == slice(1, 2)
    rows, columns = seen.region[1:]
    np.testing.assert_array_equal(np.isnan(seen.denoised), values[1, rows, columns] == 0)
    np.testing.assert_array_equal(np.isnan(seen.noisy), np.isnan(seen.denoised))


# The training does not notice


def test_training_is_the_same_with_and_without(image: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    eager(monkeypatch)
    events = list(live.following(run.start(job(image, tmp_path / "live")), job(image, tmp_path / "live")))
    plain = list(run.start(job(image, tmp_path / "plain")))
    assert [event.stage for event in events] == [event.stage for event in plain]
    assert (tmp_path / "live" / "live.html").is_file()
    assert not (tmp_path / "plain" / "live.html").exists()
    models = [api.load(tmp_path / name) for name in ("live", "plain")]
    assert checkpoint.weights_equal(*models)
    assert [row["loss"] for row in models[0].history] == [row["loss"] for row in models[1].history]


def test_resumed_training_is_the_same_and_shows_its_past(
    image: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    eager(monkeypatch)
    list(run.start(job(image, tmp_path / "whole")))
    asked = job(image, tmp_path / "parts")
    left = iter([False, True])
    stopped = list(live.following(run.start(replace(asked, stop=lambda: next(left))), asked))
    assert stopped[-1].stage == "stopped"
    text = (tmp_path / "parts" / "live.html").read_text()
    assert "Stopped after training step 2 of 4; --resume goes on" in text
    assert 'http-equiv="refresh"' not in text
    again = replace(asked, resume=True)
    list(live.following(run.start(again), again))
    assert checkpoint.weights_equal(api.load(tmp_path / "whole"), api.load(tmp_path / "parts"))
    text = (tmp_path / "parts" / "live.html").read_text()
    steps = re.search(r'"x":\[([\d.,]+)\]', text)
    assert steps and [float(step) for step in steps[1].split(",")] == [1, 2, 3, 4]


def test_time_is_bounded(monkeypatch: pytest.MonkeyPatch, image: Volume, tmp_path: Path) -> None:
    """A thousand steps of a tenth of a second, looks of a quarter, pages of a hundredth."""
    now, spent = [0.0], {"look": 0.0, "page": 0.0}
    monkeypatch.setattr(live, "time", SimpleNamespace(monotonic=lambda: now[0], perf_counter=lambda: now[0]))

    def taking(kind: str, seconds: float) -> None:
        now[0] += seconds
        spent[kind] += seconds

    def look(most: int) -> glimpse.Glimpse:
        taking("look", 0.25)
        plane = np.zeros((4, 4), np.float32)
        return glimpse.Glimpse(1, plane, plane, (slice(0, 1), slice(0, 4), slice(0, 4)))

    def write(told: Standing) -> str:
        taking("page", 0.01)
        return "page"

    monkeypatch.setattr(live.live, "page", write)
    asked = job(image, tmp_path)
    told = live.Page(asked)
    for step in range(1, 1001):
        now[0] += 0.1
        record = session.Progress(step, 1000, 1.0, float("nan"), float("nan"), 1e-3, now[0])
        told.hear(Event("train", step / 1000, "", 1.0, 100.0, progress=record, look=look))
    assert 0.25 <= spent["look"] <= 0.007 * now[0] + 0.25
    assert 0.1 < spent["page"] <= 0.003 * now[0] + live.ADVANCE + 0.01
    assert sum(spent.values()) < 0.015 * now[0]


# What is said


def shown(told: Standing) -> str:
    text = page(told)
    assert "http://" not in text.replace("http://www.w3.org", "") and "https://" not in text
    return text


def test_page_while_training_and_at_the_end() -> None:
    rows = [{"step": step, "loss": 1 / step, "validation": 2 / step, "error_left": 3 / step} for step in range(1, 9)]
    pictures = [
        Picture("noisy", "data:image/png;base64,AAAA"),
        Picture("denoised so far", "data:image/png;base64,BBBB"),
    ]
    told = Standing("<b>.TCF", "meeum denoise '<b>.TCF'", "Training", 0.4, 8, 20, 95.0, rows, pictures, "After step 8.")
    text = shown(told)
    assert '<meta http-equiv="refresh" content="5">' in text
    assert "<title>40 % training: &lt;b&gt;.TCF</title>" in text
    assert "step 8 of 20, about 1 min 35 s left" in text
    assert text.count("<polyline") == 3
    for words in ("training loss", "validation loss", "estimated error", "0.375", "AAAA", "BBBB"):
        assert words in text
    assert "<b>" not in text
    assert "report.html" not in text
    last = shown(replace(told, ended="Done", report=True))
    assert "refresh" not in last
    assert '<a href="report.html">' in last


def test_page_before_there_is_anything_to_show() -> None:
    text = shown(Standing("a.TCF", "meeum", "Training", 0.0, 1, 9, metrics=[{"step": 1, "loss": 0.5}]))
    assert "Pictures and curves appear" in text
    assert "left" not in text.split("<header>")[1].split("</header>")[0]


def test_run_from_beginning_to_end(image: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    eager(monkeypatch)
    asked = replace(job(image, tmp_path / "run"), denoise=True)
    texts = {}
    for event in live.following(run.start(asked), asked):
        path = tmp_path / "run" / folder.LIVE
        if event.stage in STAGES and path.is_file():
            texts[event.stage] = path.read_text()
    assert "data:image/png;base64," in texts["train"]
    assert "y = 0 to 31, x = 0 to 31" in texts["train"]
    for stage in ("train", "denoise", "audit", "report"):
        assert f"<strong>{STAGES[stage]}</strong>" in texts[stage]
        assert "refresh" in texts[stage]
    last = (tmp_path / "run" / folder.LIVE).read_text()
    assert "<strong>Done.</strong>" in last
    assert '<a href="report.html">' in last
    assert "refresh" not in last
    assert (tmp_path / "run" / folder.REPORT).is_file()
    again = replace(asked, overwrite=True)
    next(event for event in run.start(again) if event.stage == "train")
    assert not (tmp_path / "run" / folder.LIVE).exists()  # of the earlier run


def test_page_ends_when_the_run_does(image: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    eager(monkeypatch)
    asked = job(image, tmp_path / "run")
    events = live.following(run.start(asked), asked)
    next(event for event in events if event.stage == "train")
    assert "refresh" in (tmp_path / "run" / "live.html").read_text()
    events.close()
    text = (tmp_path / "run" / "live.html").read_text()
    assert "Ended before it was done" in text
    assert "refresh" not in text


def test_page_that_cannot_be_written_ends_nothing(
    image: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    eager(monkeypatch)
    put = folder.put

    def full(path: Path, text: str) -> None:
        if path.name == folder.LIVE:
            raise MeeumError(f"{path}: could not be written: No space left on device")
        put(path, text)

    monkeypatch.setattr(folder, "put", full)
    asked = job(image, tmp_path / "run")
    events = list(live.following(run.start(asked), asked))
    assert events[-1].stage == "done"
    assert not (tmp_path / "run" / folder.LIVE).exists()


def test_setting_switches_it_off(tmp_path: Path, image: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = str(image.source)
    words = ["train", source, *TINY, *TWO_STEPS, "--out"]
    assert call(*words, "off", "--set", "output.live=false").code == 0
    assert not (tmp_path / "off" / "live.html").exists()
    outcome = call(*words, "on")
    assert outcome.code == 0, outcome.err
    text = (tmp_path / "on" / "live.html").read_text()
    assert "<strong>Done.</strong>" in text
    assert "report.html" not in text  # training alone writes none
