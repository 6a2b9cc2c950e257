"""The commands, end to end, on small simulated tomograms."""

import ast
import csv
import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
import torch
from command import TINY, TINY_2D, TWO_STEPS, Outcome, call

import meeum
from meeum import api, cli, demonstration, io, phantom, request
from meeum.checkpoint import weights_equal
from meeum.ini import read_ini
from meeum.settings import Settings

SHAPE = (12, 32, 32)
STEPS = 4


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """cell.TCF and its like in other formats, other.TCF, and film.TCF of two frames."""
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("images")
    made = phantom.make(SHAPE, seed=0)
    for name in ("cell.TCF", "cell.tif", "cell.h5"):
        io.write(made.noisy, place / name)
    io.write(phantom.make(SHAPE, seed=1).noisy, place / "other.TCF")
    film = phantom.make((8, 16, 16), seed=2, settings=phantom.PhantomSettings(frames=2))
    io.write(film.noisy, place / "film.TCF")
    np.save(place / "cell.npy", made.noisy.read())
    return place


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def done(outcome: Outcome) -> Outcome:
    assert outcome.code == 0, outcome.err
    assert outcome.err == ""
    return outcome


# One run, looked at from all sides


@pytest.fixture(scope="module")
def ran(images: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome, str]:
    """The folder of a run of cell.TCF, what it said, and the file's digest before."""
    target = tmp_path_factory.mktemp("runs") / "out"
    before = digest(images / "cell.TCF")
    outcome = call("denoise", images / "cell.TCF", "--out", target, *TINY, "--set", f"training.steps={STEPS}")
    return target, done(outcome), before


def test_run_folder_is_complete(ran: tuple[Path, Outcome, str]) -> None:
    files = {str(path.relative_to(ran[0])) for path in ran[0].rglob("*") if path.is_file()}
    files = {name for name in files if not name.startswith("previews/evidence/")}  # as many as the audit finds
    views = {f"previews/{view}_{kind}.png" for view in ("xy", "xz", "yz", "max") for kind in KINDS}
    assert files == views | {
        "settings.ini",
        "command.txt",
        "versions.json",
        "log.txt",
        "metrics.csv",
        "model.safetensors",
        "summary.json",
        "audit.json",
        "report.html",
        "live.html",
        "results/0.hdf",
        "results/cell_denoised.TCF",
    }


KINDS = ("noisy", "denoised", "residual")


def test_input_is_unchanged(ran: tuple[Path, Outcome, str], images: Path) -> None:
    assert digest(images / "cell.TCF") == ran[2]


def test_results_hold_input_and_output(ran: tuple[Path, Outcome, str], images: Path) -> None:
    noisy = io.read(images / "cell.TCF").read()
    with h5py.File(ran[0] / "results" / "0.hdf") as file:
        given, output = file["input"][...], file["output"][...]
    assert np.array_equal(given, noisy)
    assert output.shape == noisy.shape
    assert output.std() < noisy.std()
    assert not np.array_equal(output, noisy)
    clean = io.read(ran[0] / "results" / "cell_denoised.TCF")
    assert np.abs(clean.read() - output).max() <= 0.51e-4  # half a step of the file's 1e-4
    assert clean.voxel_size_um == (0.19, 0.095, 0.095)


def test_effective_settings_are_written_and_say_everything(ran: tuple[Path, Outcome, str]) -> None:
    settings = read_ini(ran[0] / "settings.ini")
    assert settings.masking.masking == "mean"
    assert settings.masking.footprint == (2, 2, 2)
    assert settings.training.steps == STEPS
    assert settings.training.precision == "float32"
    assert settings.training.patch == (8, 16, 16)
    assert settings == api.load(ran[0]).settings


def test_effective_settings_reproduce_the_run(ran: tuple[Path, Outcome, str], images: Path, here: Path) -> None:
    done(call("denoise", images / "cell.TCF", "--config", ran[0] / "settings.ini", "--out", "again"))
    assert weights_equal(api.load("again"), api.load(ran[0]))
    assert (here / "again" / "settings.ini").read_text() == (ran[0] / "settings.ini").read_text()
    seeded = ["--config", ran[0] / "settings.ini", "--set", "training.seed=1"]
    done(call("denoise", images / "cell.TCF", *seeded, "--out", "other"))
    assert not weights_equal(api.load("other"), api.load(ran[0]))


def test_command_versions_log_and_metrics(ran: tuple[Path, Outcome, str], images: Path) -> None:
    command = (ran[0] / "command.txt").read_text()
    assert command.startswith(f"meeum denoise {images / 'cell.TCF'} --out {ran[0]} --set network.width=2")
    versions = json.loads((ran[0] / "versions.json").read_text())
    assert versions["meeum"] == meeum.__version__
    assert versions["torch"] == torch.__version__
    assert versions["device"] == "cpu"
    log = (ran[0] / "log.txt").read_text()
    for words in (
        "the noise is measured",
        "recorrupted: the noise is",
        f"training {STEPS} steps in float32 on cpu",
        "denoised (12, 32, 32)",
        "wrote",
    ):
        assert words in log
    rows = list(csv.DictReader((ran[0] / "metrics.csv").read_text().splitlines()))
    assert [int(row["step"]) for row in rows] == [1, 2, 3, 4]
    assert all(float(row["loss"]) > 0 for row in rows)
    assert float(rows[-1]["validation"]) > 0


def test_report_names_image_command_and_assumption(ran: tuple[Path, Outcome, str]) -> None:
    report = (ran[0] / "report.html").read_text(encoding="utf-8")
    for words in (
        "cell.TCF",
        "meeum denoise",
        "recorrupted: the noise is",
        "could not be told",
        "results/0.hdf",
        "data:image/png;base64",
    ):
        assert words in report
    statistics = json.loads((ran[0] / "summary.json").read_text())["statistics"]
    assert statistics["voxels"] == 12 * 32 * 32


def test_plain_output_tells_stages_and_where_things_lie(ran: tuple[Path, Outcome, str]) -> None:
    lines = ran[1].out.splitlines()
    assert lines[0].startswith("Note: the noise is measured, and the training chosen by it")
    assert any(line.startswith("Note: recorrupted: the noise is") for line in lines)
    lines = [line for line in lines if not line.startswith("Note: ")]
    assert any(line.startswith("Training: step 1/4, loss ") and line.endswith(" left") for line in lines)
    assert any(line.startswith("Training: step 4/4, loss ") for line in lines)
    assert any(line.startswith("Denoising: done (") for line in lines)
    ends = [line for line in lines if line.startswith(("Writing", "Audit"))]
    assert ends[0] == "Writing results: done"
    assert re.fullmatch(r"Audit: done \(\S+ s\)", ends[-2])
    assert ends[-1] == "Writing report: done"
    assert re.fullmatch(r"audit +\S (fail|warn|cannot tell|pass) .*\(\S+ s\)", lines[-5])
    assert lines[-4:] == [
        f"result  {ran[0]}/results/0.hdf",
        f"result  {ran[0]}/results/cell_denoised.TCF",
        f"report  {ran[0]}/report.html",
        f"model   {ran[0]}/model.safetensors (for other images: meeum denoise FILE --model {ran[0]})",
    ]
    assert "\x1b" not in ran[1].out


def screen(stream: str) -> list[str]:
    """What a terminal shows after it was sent these characters; knows new lines, line clearing and cursor up."""
    lines, row = [""], 0
    for part in re.split(r"(\x1b\[[0-9;?]*[A-Za-z]|\r|\n)", stream):
        if part == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif part.endswith("A") and part.startswith("\x1b"):
            row -= int(part[2:-1])
        elif part in ("\x1b[2K", "\r"):
            lines[row] = "" if part != "\r" else lines[row]
        elif not part.startswith("\x1b"):
            lines[row] += part
    return [line.rstrip() for line in lines]


def test_terminal_shows_one_bar_per_stage(images: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "100"}.items():
        monkeypatch.setenv(name, value)
    outcome = call("denoise", images / "cell.TCF", "--out", "out", *TINY, "--set", "training.steps=40")
    assert outcome.code == 0, outcome.err
    assert "\x1b[1A" in outcome.out  # it is redrawn in place
    shown = [re.sub("[━╸╺]+", "|", line) for line in screen(outcome.out) if line]
    assert shown[0].startswith("Note: the noise is measured")
    shown = _without_notes(shown)
    assert re.fullmatch(r"Training +\| step 40/40, loss \d+\.\d{4}", shown[1])
    assert re.fullmatch(r"Denoising +\| done \(.+ million voxels per second\)", shown[2])
    assert re.fullmatch(r"Audit +\| done \(\S+ s\)", shown[4])
    assert [" ".join(line.split()) for line in (shown[0], shown[3], shown[5])] == [
        "Preparing | done",
        "Writing results | done",
        "Writing report | done",
    ]
    assert [line.split()[0] for line in shown[6:]] == ["result", "result", "report", "model"]


def _without_notes(lines: list[str]) -> list[str]:
    """Notes may be wrapped over several lines of the screen; so may the audit's findings."""
    stages = ("Preparing", "Training", "Denoising", "Writing", "Audit", "result", "report", "model")
    return [line for line in lines if line.startswith(stages)]


# Options


def test_json_is_one_object(images: Path, here: Path) -> None:
    outcome = call("denoise", images / "cell.TCF", "--out", "out", "--json", *TINY, *TWO_STEPS)
    assert outcome.code == 0
    told = json.loads(outcome.out)  # fails on anything before or after it
    assert told["folder"] == "out"
    assert told["results"] == ["out/results/0.hdf", "out/results/cell_denoised.TCF"]
    assert all(Path(told[name]).is_file() for name in ("report", "model"))
    assert told["notes"][0].startswith("the noise is measured")
    assert told["statistics"]["quantity"] == "refractive index"
    assert "Training: step 2/2" in outcome.err


def test_json_of_an_error_is_one_object(here: Path) -> None:
    outcome = call("denoise", "nothere.TCF", "--json")
    assert outcome.code == 2
    assert json.loads(outcome.out) == {"error": "nothere.TCF: no such file", "exit_code": 2}
    assert outcome.err == "meeum: nothere.TCF: no such file\n"


def test_folder_is_named_after_the_file(images: Path, here: Path) -> None:
    for name in ("2024.0131.TCF", "2024.0201.TCF"):
        (here / name).write_bytes((images / "film.TCF").read_bytes())
        done(call("denoise", name, *TINY, *TWO_STEPS))
    assert sorted(path.name for path in here.iterdir() if path.is_dir()) == ["2024.0131_meeum", "2024.0201_meeum"]
    assert (here / "2024.0131_meeum" / "results" / "2024.0131_denoised.TCF").is_file()


def test_config_is_read_and_nothing_assumed(images: Path, here: Path) -> None:
    (here / "run.ini").write_text("[masking]\nmasking = GPS\nmask_std = 2\n[training]\nsteps = 2\n")
    outcome = done(call("denoise", images / "cell.TCF", "--config", "run.ini", "--out", "out", *TINY))
    assert "assumed" not in outcome.out
    settings = read_ini(here / "out" / "settings.ini")
    assert (settings.masking.masking, settings.masking.mask_std, settings.masking.footprint) == ("GPS", (2.0,), (0,))


def asked_for(monkeypatch: pytest.MonkeyPatch, *words: object) -> Settings:
    """The settings with which `meeum denoise WORDS...` would prepare a training."""
    asked: list[Settings] = []
    monkeypatch.setattr("meeum.preparation.preparing", lambda volumes, settings, **_: asked.append(settings) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        call("denoise", *words)
    return asked[0]


MASKS = ["--set", "masking.footprint=1"]
SCHEME = ["--set", "masking.masking=median", "--set", "masking.mask_size=5"]


@pytest.mark.parametrize("words", [[], ["--minutes", "2"], MASKS, SCHEME, ["--set", "training.objective=masked"]])
def test_unedited_ini_is_as_good_as_none(
    words: list[str], images: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(call("config", "--init", "run.ini"))
    file = images / "cell.TCF"
    assert asked_for(monkeypatch, file, "--config", "run.ini", *words) == asked_for(monkeypatch, file, *words)


def test_unedited_ini_changes_no_model(trained: Path, images: Path, here: Path) -> None:
    done(call("config", "--init", "run.ini"))
    done(call("denoise", images / "cell.TCF", "--model", trained, "--out", "a"))
    done(call("denoise", images / "cell.TCF", "--model", trained, "--out", "b", "--config", "run.ini"))
    assert read_ini(here / "a" / "settings.ini") == read_ini(here / "b" / "settings.ini")


def test_unedited_ini_changes_no_comparison(images: Path, here: Path) -> None:
    done(call("config", "--init", "run.ini"))
    asked = request.Request((images / "cell.TCF",), here / "grid", "meeum compare")
    plans = [request.comparing(replace(asked, config=config), request.Sought()) for config in (None, here / "run.ini")]
    assert plans[0].grid == plans[1].grid


def test_words_on_masking_count_over_an_ini_that_says_nothing_of_it(
    images: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "run.ini").write_text("[training]\nsteps = 2\nobjective = auto\n")
    found = asked_for(monkeypatch, images / "cell.TCF", "--config", "run.ini", *MASKS)
    assert (found.training.objective, found.training.steps) == ("masked", 2)
    assert (found.masking.masking, found.masking.footprint) == ("mean", (1,))
    found = asked_for(monkeypatch, images / "cell.TCF", "--config", "run.ini", *SCHEME)
    assert (found.training.objective, found.training.steps) == ("masked", 2)
    assert (found.masking.masking, found.masking.footprint) == ("median", (0,))


def test_scheme_by_set_assumes_nothing_else(images: Path, here: Path) -> None:
    masking = ["--set", "masking.masking=median", "--set", "masking.mask_size=5"]
    outcome = done(call("denoise", images / "cell.TCF", "--out", "out", *TINY, *TWO_STEPS, *masking))
    assert "assumed" not in outcome.out
    assert read_ini(here / "out" / "settings.ini").masking.footprint == (0,)


@pytest.mark.parametrize(
    ("options", "minutes"), [(["--minutes", "0.02"], 0.02), (["--quality", "fast"], 1.0), (["--quality", "best"], 20.0)]
)
def test_time_counts_instead_of_the_steps_of_an_ini(
    options: list[str], minutes: float, images: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "run.ini").write_text("[masking]\nmasking = mean\nmask_size = 5\n[training]\nsteps = 2\n")
    asked = asked_for(monkeypatch, images / "cell.TCF", "--config", "run.ini", *options)
    assert (asked.training.minutes, asked.training.steps) == (minutes, None)


def test_minutes_are_kept(images: Path, here: Path) -> None:
    done(call("denoise", images / "film.TCF", "--minutes", "0.02", "--out", "out", *TINY))
    model = api.load("out")
    assert model.step == model.settings.training.steps
    assert model.history[-1]["seconds"] < 30  # 1.2 s were asked for, not 5 minutes; a busy machine takes its time


@pytest.mark.parametrize(
    "options", [["--minutes", "1", "--quality", "fast"], ["--quality", "fats"], ["--quality", "FAST"]]
)
def test_time_is_said_once_and_well(options: list[str], images: Path, here: Path) -> None:
    outcome = call("denoise", images / "cell.TCF", *options)
    assert outcome.code == 2
    assert outcome.err.startswith("meeum: --quality")
    assert outcome.err.count("\n") == 1
    assert list(here.iterdir()) == []


# Other images


@pytest.mark.parametrize(
    ("name", "results"),
    [
        ("cell.h5", ["0.hdf"]),
        ("cell.tif", ["0.hdf", "cell_denoised.tif"]),
        ("cell.npy", ["0.hdf", "cell_denoised.npy"]),
    ],
)
def test_other_formats(name: str, results: list[str], images: Path, here: Path) -> None:
    before = digest(images / name)
    outcome = done(call("denoise", images / name, *TINY, *TWO_STEPS))
    assert [path.name for path in sorted((here / "cell_meeum" / "results").iterdir())] == results
    assert digest(images / name) == before
    noisy = io.read(images / name)
    for result in results:
        again = io.read(
            here / "cell_meeum" / "results" / result, **({"dataset": "output"} if result == "0.hdf" else {})
        )
        assert again.shape == SHAPE
        assert again.voxel_size_um == noisy.voxel_size_um
        assert 1.3 < again.read().mean() < 1.4
    assert "Denoising: done" in outcome.out


def test_chosen_formats(images: Path, here: Path) -> None:
    formats = ["--set", "output.formats=npy, tif, tcf"]
    done(call("denoise", images / "cell.TCF", *TINY, *TWO_STEPS, *formats))
    names = [path.name for path in sorted((here / "cell_meeum" / "results").iterdir())]
    assert names == ["cell_denoised.TCF", "cell_denoised.npy", "cell_denoised.tif"]


def test_dataset_is_chosen(images: Path, here: Path) -> None:
    values = io.read(images / "cell.TCF").read()
    with h5py.File(here / "two.h5", "w") as file:
        file["raw"], file["other"] = values, values[:, ::-1]
    outcome = call("denoise", "two.h5", *TINY, *TWO_STEPS)
    assert outcome.code == 2
    assert "--dataset" in outcome.err
    assert not (here / "two_meeum").exists()
    done(call("denoise", "two.h5", "--dataset", "other", *TINY, *TWO_STEPS))
    with h5py.File(here / "two_meeum" / "results" / "0.hdf") as file:
        assert np.array_equal(file["input"][...], values[:, ::-1])


def test_channel_is_chosen(here: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    tifffile.imwrite(here / "rgb.tif", picture, photometric="rgb")
    refused = call("denoise", "rgb.tif", *TINY_2D, *TWO_STEPS)
    assert refused.code == 2
    assert "--channel" in refused.err
    done(call("denoise", "rgb.tif", "--channel", "1", *TINY_2D, *TWO_STEPS))
    assert io.read(here / "rgb_meeum" / "results" / "rgb_denoised.tif").shape == (32, 32)
    with h5py.File(here / "rgb_meeum" / "results" / "0.hdf") as file:
        assert np.array_equal(file["input"][...], picture[..., 1])
    assert json.loads(done(call("info", "rgb.tif", "--channel", "2", "--json")).out)["shape"] == [32, 32]


def test_maximum_projection(images: Path, here: Path) -> None:
    outcome = done(call("denoise", images / "cell.TCF", "--projection", "max", *TINY_2D, *TWO_STEPS))
    assert "Note: recorrupted: " in outcome.out or "Note: neighbours: " in outcome.out
    with h5py.File(here / "cell_meeum" / "results" / "0.hdf") as file:
        assert np.array_equal(file["input"][...], io.read(images / "cell.TCF").read().max(axis=0))
        assert file["output"].shape == (32, 32)
    assert io.read(here / "cell_meeum" / "results" / "cell_denoised.tif").shape == (32, 32)


def test_several_frames(images: Path, here: Path) -> None:
    done(call("denoise", images / "film.TCF", *TINY, *TWO_STEPS))
    results = here / "film_meeum" / "results"
    assert sorted(path.name for path in results.iterdir()) == ["0.hdf", "1.hdf", "film_denoised.TCF"]
    noisy = io.read(images / "film.TCF").read()
    for index in range(2):
        with h5py.File(results / f"{index}.hdf") as file:
            assert np.array_equal(file["input"][...], noisy[index])
    assert io.read(results / "film_denoised.TCF").shape == (2, 8, 16, 16)
    assert (here / "film_meeum" / "previews" / "frame1_xy_noisy.png").is_file()


@pytest.mark.parametrize("shape", [(1, 32, 32), (5, 17, 23), (3, 64, 9), (7, 40), (16, 1), (3, 3)])
def test_any_shape(shape: tuple[int, ...], here: Path) -> None:
    np.save(here / "odd.npy", np.random.default_rng(0).normal(100, 9, shape))
    done(call("denoise", "odd.npy", *(TINY if len(shape) == 3 else TINY_2D), *TWO_STEPS))
    result = io.read(here / "odd_meeum" / "results" / "odd_denoised.npy")
    assert result.shape == shape
    assert np.isfinite(result.read()).all()


def test_voxels_without_data_stay(here: Path) -> None:
    values = np.random.default_rng(0).normal(100, 9, (8, 24, 24)).astype(np.float32)
    values[:, :5] = np.nan
    np.save(here / "holes.npy", values)
    done(call("denoise", "holes.npy", "--set", "input.no_data=nan", *TINY, *TWO_STEPS))
    result = io.read(here / "holes_meeum" / "results" / "holes_denoised.npy").read()
    assert np.array_equal(np.isnan(result), np.isnan(values))


def test_brackets_in_names_are_shown(here: Path) -> None:
    np.save(here / "cell [1] :smile:.npy", np.random.default_rng(0).normal(size=(32, 32)))
    outcome = done(call("denoise", "cell [1] :smile:.npy", *TINY_2D, *TWO_STEPS))
    assert "result  cell [1] :smile:_meeum/results/cell [1] :smile:_denoised.npy" in outcome.out


# Train, then use


@pytest.fixture(scope="module")
def trained(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("models") / "model"
    files = [images / "cell.TCF", images / "other.TCF"]
    outcome = done(call("train", *files, "--out", target, *TINY, "--set", f"training.steps={STEPS}"))
    assert outcome.out.splitlines()[-1].startswith(f"model   {target}/model.safetensors")
    return target


def test_training_alone_leaves_a_model_and_no_results(trained: Path) -> None:
    names = {path.name for path in trained.iterdir()}
    told = {"settings.ini", "command.txt", "versions.json", "log.txt", "metrics.csv", "live.html"}
    assert names == told | {"model.safetensors"}
    assert api.load(trained).step == STEPS


def test_model_learns_from_all_files(trained: Path, ran: tuple[Path, Outcome, str]) -> None:
    assert not weights_equal(api.load(trained), api.load(ran[0]))


def test_trained_model_denoises_another_file(trained: Path, images: Path, here: Path) -> None:
    before = digest(trained / "model.safetensors")
    outcome = call("denoise", images / "film.TCF", "--model", trained, "--json")
    assert outcome.code == 0
    told = json.loads(outcome.out)
    assert "model" not in told
    assert "Training" not in outcome.err
    folder = here / "film_meeum"
    assert sorted(path.name for path in (folder / "results").iterdir()) == ["0.hdf", "1.hdf", "film_denoised.TCF"]
    for name in ("settings.ini", "command.txt", "versions.json", "log.txt", "report.html"):
        assert (folder / name).is_file(), name
    assert digest(trained / "model.safetensors") == before
    expected = api.denoise(api.read(images / "film.TCF"), api.load(trained)).read()
    with h5py.File(folder / "results" / "1.hdf") as file:
        assert np.array_equal(file["output"][...], expected[1])
    assert call("denoise", images / "film.TCF", "--model", trained).code == 2
    assert call("denoise", images / "film.TCF", "--model", trained, "--overwrite").code == 0


def test_model_takes_settings_of_input_prediction_and_output(trained: Path, images: Path, here: Path) -> None:
    (here / "run.ini").write_text("[masking]\nmasking = G\n[output]\nformats = npy\n[prediction]\nmemory_gb = 0.004\n")
    outcome = done(call("denoise", images / "cell.TCF", "--model", trained, "--config", "run.ini", "--out", "a"))
    assert "run.ini: its sections masking, network, training do not count" in outcome.out
    assert [path.name for path in (here / "a" / "results").iterdir()] == ["cell_denoised.npy"]
    settings = read_ini(here / "a" / "settings.ini")
    assert (settings.masking.masking, settings.prediction.memory_gb) == ("mean", 0.004)
    words = ["--set", "output.formats=npy", "--set", "training.device=cpu"]
    done(call("denoise", images / "cell.TCF", "--model", trained / "model.safetensors", "--out", "b", *words))
    results = [np.load(here / name / "results" / "cell_denoised.npy") for name in "ab"]
    assert np.abs(results[0] - results[1]).max() < 1e-6  # many tiles, and one


@pytest.mark.parametrize(
    "words",
    [
        ["--minutes", "3"],
        ["--quality", "fast"],
        ["--set", "training.seed=5"],
        ["--set", "masking.masking=G"],
        ["--set", "network.width=4"],
    ],
)
def test_model_is_not_trained_again(words: list[str], trained: Path, images: Path, here: Path) -> None:
    outcome = call("denoise", images / "cell.TCF", "--model", trained, *words)
    assert outcome.code == 2
    assert outcome.err.startswith(f"meeum: --model {trained}: is trained already, so [")
    assert list(here.iterdir()) == []


def test_model_of_other_axes_is_refused(trained: Path, images: Path, here: Path) -> None:
    outcome = call("denoise", images / "cell.TCF", "--projection", "max", "--model", trained)
    assert outcome.code == 2
    assert outcome.err == "meeum: cell.TCF: axes YX, but the model was trained on ZYX\n"
    assert list(here.iterdir()) == []
    done(call("denoise", images / "cell.TCF", "--projection", "max", "--out", "flat", *TINY_2D, *TWO_STEPS))
    outcome = call("denoise", images / "cell.TCF", "--model", "flat")
    assert outcome.code == 2
    assert "trained on YX; `--projection max` makes YX of ZYX" in outcome.err
    done(call("denoise", images / "cell.TCF", "--model", "flat", "--projection", "max"))


# Other commands


def test_info(images: Path) -> None:
    lines = done(call("info", images / "cell.TCF")).out.splitlines()
    facts = dict(line.split(None, 1) for line in lines if line.split()[0] in ("axes", "shape", "quantity", "frames"))
    assert facts == {"axes": "ZYX", "shape": "12 x 32 x 32", "quantity": "refractive index", "frames": "1"}
    assert any("voxel size (µm)" in line and "0.19 x 0.095 x 0.095" in line for line in lines)
    assert any("encoding" in line and "uint16" in line for line in lines)
    assert all(line == line.rstrip() for line in lines)


def test_info_as_json(images: Path) -> None:
    told = json.loads(done(call("info", images / "film.TCF", "--json")).out)
    values = io.read(images / "film.TCF").read()
    assert told["axes"] == "TZYX"
    assert told["shape"] == [2, 8, 16, 16]
    assert told["frames"] == 2
    assert told["smallest"] == values.min()
    assert told["largest"] == values.max()
    assert told["mean"] == pytest.approx(values.mean(dtype=float))
    assert told["warnings"] == []


def test_info_counts_what_is_no_number(here: Path) -> None:
    np.save(here / "odd.npy", np.array([[1, np.nan, np.inf], [2, 3, 6]]))
    told = json.loads(done(call("info", "odd.npy", "--json")).out)
    assert (told["nan or infinite"], told["smallest"], told["largest"], told["mean"]) == (2, 1, 6, 3)


def test_info_shows_warnings(here: Path) -> None:
    with h5py.File(here / "bare.TCF", "w") as file:
        file["Data/3D/000000"] = np.full((4, 8, 8), 13370, np.uint16)
    outcome = done(call("info", "bare.TCF"))
    assert "warning: Data/3D states no ResolutionZ: the voxel size is unknown" in outcome.out


def test_config_writes_an_ini_that_is_read_back(here: Path) -> None:
    outcome = done(call("config", "--init", "run.ini"))
    assert outcome.out == "wrote run.ini; `meeum denoise FILE --config run.ini` uses it\n"
    assert read_ini(here / "run.ini") == Settings()
    (here / "run.ini").write_text("mine")
    refused = call("config", "--init", "run.ini")
    assert refused.code == 2
    assert "--overwrite" in refused.err
    assert (here / "run.ini").read_text() == "mine"
    done(call("config", "--init", "run.ini", "--overwrite"))
    assert read_ini(here / "run.ini") == Settings()
    assert call("config", "--init", "nothere/run.ini").code == 2
    assert [path.name for path in here.iterdir()] == ["run.ini"]


def test_demo(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = partial(demonstration.write_sample, shape=(12, 32, 32))
    monkeypatch.setattr(demonstration, "write_sample", small)
    outcome = call("demo", "--out", "show", "--minutes", "0.01", "--json")
    assert outcome.code == 0, outcome.err
    told = json.loads(outcome.out)
    assert told["folder"] == "show/run"
    truth, noisy = (io.read(here / "show" / f"{name}.TCF").read() for name in ("truth", "sample"))
    span = truth.max() - truth.min()
    expected = 20 * np.log10(span / np.sqrt(((truth - noisy) ** 2).mean()))
    assert told["noisy_psnr_db"] == pytest.approx(expected, abs=0.3)
    assert {"denoised_psnr_db", "truth_dry_mass_pg", "denoised_dry_mass_pg"} <= told.keys()
    assert (here / "show" / "run" / "report.html").is_file()
    again = call("demo", "--out", "show", "--minutes", "0.01")
    assert (again.code, again.err.count("\n")) == (2, 1)
    assert "--overwrite" in again.err


def test_demo_replaces_no_file_of_the_same_name(here: Path) -> None:
    (here / "sample.TCF").write_text("mine")
    outcome = call("demo", "--out", ".", "--minutes", "0.01")
    assert outcome.code == 2
    assert "sample.TCF: exists" in outcome.err
    assert (here / "sample.TCF").read_text() == "mine"


# Starting


def started(*words: str) -> tuple[subprocess.CompletedProcess[str], set[str]]:
    """A process of its own, and which of the slow packages it imported."""
    code = (
        "import sys\nfrom meeum.cli import main\ntry:\n    main()\nfinally:\n"
        "    print([n for n in ('torch', 'scipy', 'pydantic', 'numpy', 'h5py') if n in sys.modules], file=sys.stderr)"
    )
    environment = {**os.environ, "COLUMNS": "100"}
    made = subprocess.run(
        [sys.executable, "-c", code, *words], check=False, capture_output=True, text=True, env=environment
    )
    return made, set(ast.literal_eval(made.stderr.splitlines()[-1]))


def test_help_starts_without_heavy_packages() -> None:
    made, imported = started("--help")
    assert made.returncode == 0
    assert imported == set()
    for command in ("denoise", "train", "info", "config", "demo"):
        assert command in made.stdout


def test_version_is_told() -> None:
    outcome = done(call("--version"))
    assert outcome.out == f"meeum {meeum.__version__}\n"


def test_module_is_the_command() -> None:
    made = subprocess.run([sys.executable, "-m", "meeum", "--version"], check=False, capture_output=True, text=True)
    assert (made.returncode, made.stdout, made.stderr) == (0, f"meeum {meeum.__version__}\n", "")


def test_info_starts_without_torch(images: Path) -> None:
    made, imported = started("info", str(images / "cell.TCF"))
    assert made.returncode == 0
    assert "12 x 32 x 32" in made.stdout
    assert "h5py" in imported
    assert not imported & {"torch", "scipy"}


def test_mistyped_commands_are_usage_errors() -> None:
    for words in (["denoise"], ["denoise", "a.TCF", "--minutes", "long"], ["denoice"], ["train", "a.TCF"]):
        outcome = call(*words)
        assert outcome.code == 2
        assert "Traceback" not in outcome.err
        assert outcome.out == ""


def test_threads_wait_politely_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["meeum", "--help"])
    for told, kept in (({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, None)):
        for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
            monkeypatch.setenv(name, "")  # so that it is put back as it was
            monkeypatch.delenv(name)
        for name, value in told.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit):
            cli.main()
        assert os.environ.get("GOMP_SPINCOUNT") == kept
