"""`meeum noise`: its report, JSON and pictures, on a small simulated tomogram."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from command import Outcome, call
from PIL import Image

from meeum import answers, io, phantom
from meeum.noise import Noise, measure
from meeum.noise.measure import TRAINED
from meeum.phantom import PhantomSettings
from meeum.report.spectra import autocorrelation, write_pictures
from meeum.survey import survey

README = Path(__file__).parents[1] / "README.md"
PICTURES = ["autocorrelation.png", "spectrum.png"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with cell.TCF, and again.TCF, which shows the same field with other noise."""
    monkeypatch.chdir(tmp_path)
    made = phantom.make((12, 48, 48), seed=0, settings=PhantomSettings(noise_std=2e-3))
    io.write(made.noisy, tmp_path / "cell.TCF")
    rng = np.random.default_rng(1)
    power = phantom.NOISE_COLOURS["optical"](phantom.optical_support(made.truth.shape, made.optics))
    other = made.truth.read() + 2e-3 * phantom.coloured_noise(power, rng)
    io.write(made.truth.with_data(other.astype(np.float32)), tmp_path / "again.TCF")
    return tmp_path


def done(outcome: Outcome) -> Outcome:
    assert outcome.code == 0, outcome.err
    assert outcome.err == ""
    return outcome


def test_report_json_and_pictures(here: Path) -> None:
    before = (here / "cell.TCF").read_bytes()
    lines = done(call("noise", "cell.TCF", "--json", "noise.json", "--pictures", "out/pictures")).out.splitlines()
    expected = survey(io.read(here / "cell.TCF"))
    told = json.loads((here / "noise.json").read_text(encoding="utf-8"))
    assert told == json.loads(json.dumps({**expected.as_dict(), "advice": told["advice"]}))
    assert lines[0] == "image          cell.TCF: ZYX, 12 x 48 x 48 voxels of 0.19 x 0.095 x 0.095 µm"
    assert lines[1] == f"measured from  {expected.noise.source}"
    assert lines[2] == f"reliability    {expected.reliability}"
    assert [line for line in lines if line.startswith("- ")] == [f"- {sentence}" for sentence in expected.findings]
    assert [f"caution: {sentence}" for sentence in expected.untold] == [n for n in lines if n.startswith("caution")]
    assert f"  3 x 3 x 3  {100 * dict(expected.shares)[1, 1, 1]:4.0f} %".split() in [line.split() for line in lines]
    assert lines[-1] == told["advice"]
    assert lines[-1].startswith("meeum denoise would train recorrupted: the noise is correlated")
    assert sorted(path.name for path in here.iterdir()) == ["again.TCF", "cell.TCF", "noise.json", "out"]
    assert sorted(path.name for path in (here / "out" / "pictures").iterdir()) == PICTURES
    assert (here / "cell.TCF").read_bytes() == before


def test_json_on_standard_output_and_a_repeat(here: Path) -> None:
    told = json.loads(done(call("noise", "cell.TCF", "--repeat", "again.TCF", "--json", "-")).out)
    one, other = (io.read(here / name) for name in ("cell.TCF", "again.TCF"))
    assert told["noise"]["std"] == measure(one, repeat=other).std
    assert told["noise"]["std"] == pytest.approx(2e-3, rel=0.1)
    assert told["noise"]["source"] == "repeats of the same field"
    assert told["advice"].startswith("meeum denoise with that --repeat would train recorrupted")
    flat = json.loads(done(call("noise", "cell.TCF", "--projection", "max", "--json", "-")).out)
    assert (flat["axes"], flat["shape"], flat["predictable_share"][0]["footprint"]) == ("YX", [48, 48], [0, 0])


def test_a_first_training_is_had_where_the_level_is_uncertain(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "ROUNDS", 1)
    monkeypatch.setattr(answers, "AWAKE", answers.STEPS)
    io.write(phantom.make((12, 48, 48), settings=PhantomSettings(noise_std=2e-4)).noisy, here / "weak.TCF")
    told = json.loads(done(call("noise", "weak.TCF", "--trained", "--json", "-")).out)
    assert told["noise"]["source"] == TRAINED
    assert "first training" in told["advice"]
    refused = call("noise", "weak.TCF", "--trained", "--repeat", "again.TCF")
    assert (refused.code, "not both" in refused.err) == (2, True)


def test_no_data(here: Path) -> None:
    values = np.random.default_rng(0).normal(100, 5, (64, 64)).astype(np.float32)
    values[:20] = -1
    np.save(here / "cell.npy", values)
    told = json.loads(done(call("noise", "cell.npy", "--no-data", "-1", "--json", "-")).out)
    assert told["values"]["minimum"] > 70
    assert told["noise"]["std"] == pytest.approx(5, rel=0.15)


def test_what_exists_is_kept(here: Path) -> None:
    (here / "noise.json").write_text("mine")
    (here / "spectrum.png").write_text("mine")
    for words in (["--json", "noise.json"], ["--pictures", "."], ["--pictures", "noise.json"]):
        outcome = call("noise", "cell.TCF", *words)
        assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert "--overwrite" in call("noise", "cell.TCF", "--pictures", ".").err
    itself = call("noise", "cell.TCF", "--json", "./cell.TCF", "--overwrite")
    assert (itself.code, "the image itself" in itself.err) == (2, True)
    assert [(here / name).read_text() for name in ("noise.json", "spectrum.png")] == ["mine", "mine"]
    assert not (here / "autocorrelation.png").exists()
    done(call("noise", "cell.TCF", "--json", "noise.json", "--pictures", ".", "--overwrite"))
    assert json.loads((here / "noise.json").read_text())["version"] == 1
    with Image.open(here / "spectrum.png") as picture:
        assert picture.format == "PNG"


def test_errors(here: Path) -> None:
    outcome = call("noise", "nothere.TCF", "--json", "-")
    assert outcome.code == 2
    assert json.loads(outcome.out)["error"] in outcome.err
    outcome = call("noise", "nothere.TCF", "--json", "noise.json")
    assert (outcome.code, outcome.out) == (2, "")
    assert "known are none, max" in call("noise", "cell.TCF", "--projection", "mean").err
    io.write(phantom.make((12, 32, 32)).noisy, here / "small.TCF")
    outcome = call("noise", "cell.TCF", "--repeat", "small.TCF", "--pictures", "out")
    assert (outcome.code, "12x48x48" in outcome.err, (here / "out").exists()) == (2, True, False)
    np.save(here / "even.npy", np.ones((32, 32), np.float32))
    outcome = call("noise", "even.npy")
    assert (outcome.code, outcome.out, "constant" in outcome.err) == (1, "", True)
    assert not (here / "noise.json").exists()


def streaks(sides: tuple[int, ...]) -> Noise:
    """Correlated along x, with the last spectrum axis along x."""
    power = 1 / (1.25 - np.cos(2 * np.pi * np.fft.rfftfreq(sides[-1])))
    spectrum = np.broadcast_to(power / (2 * power.sum() - power[0] - power[-1]) * sides[-1], (*sides[:-1], len(power)))
    return Noise(1.0, spectrum.copy(), sides, "nothing", (), 0.0, 0.0, "a test", 1.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize("size", [(0.8, 0.2, 0.2), None])
def test_pictures_show_the_noise(tmp_path: Path, size: tuple[float, ...] | None) -> None:
    paths = write_pictures(tmp_path / "new" / "folder", streaks((16, 16, 32)), voxel_size_um=size)
    assert [path.name for path in paths] == PICTURES
    for path in paths:
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20, path.name
        assert pixels.shape[0] > 300 and pixels.shape[1] > 700


def test_streaks_are_drawn_along_x() -> None:
    """Dark red spreads to the left and right of the middle of the first section, not above and below it."""
    pixels = np.asarray(autocorrelation(streaks((32, 32)))).astype(int)
    red = (pixels[..., 0] - pixels[..., 2] > 60) & (pixels[..., 0] > 60)
    rows, columns = np.nonzero(red[:, : red.shape[1] * 7 // 10])  # less the colour bar
    assert np.ptp(columns) + 1 >= 3 * (np.ptp(rows) + 1) > 0


def test_white_noise_is_a_point() -> None:
    even = Noise(1.0, np.ones((16, 9)), (16, 16), "nothing", (), 0.0, 0.0, "a test", 1.0, 0.0, 0.0, 1.0)
    pixels = np.asarray(autocorrelation(even)).astype(int)
    red = (pixels[..., 0] - pixels[..., 2] > 60)[:, : pixels.shape[1] * 7 // 10]
    rows, columns = np.nonzero(red)
    assert np.ptp(rows) == pytest.approx(np.ptp(columns), abs=2)
    assert red.sum() == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)


def test_readme_commands_run(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "ROUNDS", 1)
    section = README.read_text(encoding="utf-8").split("## Know the noise")[1].split("\n## ")[0]
    (block,) = re.findall(r"```sh\n(.*?)```", section, flags=re.DOTALL)
    commands = [shlex.split(line.split("#")[0]) for line in block.splitlines()]
    assert len(commands) >= 2
    for words in commands:
        assert words[:2] == ["meeum", "noise"]
        done(call(*words[1:]))
    assert json.loads((here / "noise.json").read_text())["file"] == "cell.TCF"
    assert sorted(path.name for path in (here / "pictures").iterdir()) == PICTURES
