"""`meeum audit`: the pair from its files, table, JSON, pictures, report and exit code; and the audit of a run."""

import json
import math
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from command import TINY, TWO_STEPS, Outcome, call

from meeum import api, examination, io, phantom
from meeum.auditing import Finding, Pair, Picture
from meeum.examination import Source, read_pair
from meeum.volume import Volume

README = Path(__file__).parents[1] / "README.md"
JUDGE = sys.modules["meeum.auditing.judge"]
SHAPE = (12, 32, 32)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """cell.TCF and clean in several formats, result.hdf that holds both, and bad.npy, an inverted result."""
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("images")
    made = phantom.make(SHAPE, seed=0, settings=phantom.PhantomSettings(noise_std=2e-3))
    io.write(made.noisy, place / "cell.TCF")
    for name in ("clean.TCF", "clean.tif"):
        io.write(made.truth, place / name)
    io.write(made.truth, place / "result.hdf", noisy=made.noisy)
    np.save(place / "clean.npy", made.truth.read())
    np.save(place / "bad.npy", 2 * 1.337 - made.truth.read())
    return place


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def done(outcome: Outcome) -> Outcome:
    assert outcome.code == 0, outcome.err
    assert outcome.err == ""
    return outcome


def made(measure: str, verdict: str, value: float = 0.5, **more: object) -> Finding:
    facts = {"unit": "noise std", "ideal": 0.0, "worse": "above", "effect": value, "effect_unit": "noise std"}
    words = {"title": f"about {measure}", "sentence": f"{measure} was found.", "bound": 0.1}
    return Finding(measure=measure, value=value, verdict=verdict, **facts, **words, **more)


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measures that pass, fail with a picture, and cannot tell."""
    plane = np.random.default_rng(0).normal(size=(20, 30))
    said = {
        "calm": made("calm", "pass", 0.01),
        "storm": made("storm", "fail", 0.75, picture=Picture("the storm", plane, "noise std", True, ((5, 6, 3),))),
        "fog": made("fog", "cannot tell", math.nan, reason="nothing is to be seen"),
    }
    monkeypatch.setattr(JUDGE, "MEASURES", {name: lambda pair, one=one: [one] for name, one in said.items()})


# The two images


@pytest.mark.parametrize("name", ["clean.TCF", "clean.tif", "clean.npy", "result.hdf"])
def test_denoised_images_of_all_formats(name: str, images: Path) -> None:
    noisy, denoised = read_pair(Source(images / "cell.TCF", images / name))
    truth = io.read(images / "clean.npy").read()
    assert (denoised.axes, denoised.voxel_size_um) == ("ZYX", (0.19, 0.095, 0.095))
    assert np.abs(denoised.read() - truth).max() <= 0.51e-4  # half a step of TCF
    assert np.abs(noisy.read() - truth).max() > 2e-3


def test_one_file_may_hold_both(images: Path, here: Path) -> None:
    noisy, denoised = read_pair(Source(images / "result.hdf"))
    with h5py.File(images / "result.hdf") as file:
        assert np.array_equal(noisy.read(), file["input"][...])
        assert np.array_equal(denoised.read(), file["output"][...])
    for name in ("cell.TCF", "clean.npy"):
        outcome = call("audit", images / name)
        assert (outcome.code, outcome.err.count("\n")) == (2, 1)
        assert "give the denoised image too" in outcome.err


def test_axes_follow_the_noisy_image_where_a_file_states_none(here: Path) -> None:
    values = np.random.default_rng(0).normal(size=(4, 16, 16)).astype(np.float32)
    with h5py.File("film.h5", "w") as file:
        file["input"] = values
        file["input"].attrs["axes"] = "TYX"
    np.save("clean.npy", values)
    assert [image.axes for image in read_pair(Source(here / "film.h5", here / "clean.npy"))] == ["TYX", "TYX"]
    np.save("short.npy", values[:3])
    outcome = call("audit", "film.h5", "short.npy")
    assert outcome.code == 2
    assert "short.npy: shape (3, 16, 16), axes ZYX, but film.h5 has (4, 16, 16), TYX" in outcome.err


def test_a_voxel_size_that_changed_is_kept_to_be_judged(images: Path, here: Path) -> None:
    noisy = io.read(images / "cell.TCF")
    io.write(replace(noisy, voxel_size_um=(1.0, 0.5, 0.5)), here / "other.h5")
    denoised = read_pair(Source(images / "cell.TCF", here / "other.h5"))[1]
    assert denoised.voxel_size_um == (1.0, 0.5, 0.5)


def test_projection_and_dataset(images: Path, here: Path) -> None:
    flat = io.read(images / "clean.npy").read().max(axis=0)
    np.save("flat.npy", flat)
    for name in (images / "clean.npy", here / "flat.npy"):
        noisy, denoised = read_pair(Source(images / "cell.TCF", name, projection="max"))
        assert noisy.shape == denoised.shape == (32, 32)
        assert np.array_equal(denoised.read(), flat)
    with h5py.File("two.h5", "w") as file:
        file["raw"], file["other"] = flat, flat + 1
    assert read_pair(Source(here / "two.h5", here / "flat.npy", dataset="other"))[0].read().min() > 2


# What is said and written


def test_the_table(images: Path, here: Path, three: None) -> None:
    lines = done(call("audit", images / "cell.TCF", images / "clean.npy")).out.splitlines()
    assert lines[0] == "audit of clean.npy against cell.TCF"
    assert lines[1].split("; ")[0] == "looked at      all voxels, 12,288 voxels"
    level = api.measure_noise(io.read(images / "cell.TCF")).std
    assert lines[2] == f"sigma          {level:.3g} RI, the standard deviation of the noise as measured"
    assert lines[5:11] == [
        f"✗ fail         {'about storm':<30}  0.75 noise std, ideal 0",
        "               storm was found.",
        f"? cannot tell  {'about fog':<30}  –, ideal 0",
        "               fog was found. Why: nothing is to be seen.",
        f"✓ pass         {'about calm':<30}  0.01 noise std, ideal 0",
        "               calm was found.",
    ]
    assert re.fullmatch(r"audit +✗ fail +1 failed, 1 could not be told, 1 passed \(\S+ s\)", lines[11])
    assert len(lines) == 12
    assert list(here.iterdir()) == []


def test_colours_and_wrapping_on_a_screen(
    images: Path, here: Path, three: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "60"}.items():
        monkeypatch.setenv(name, value)
    long = made("long", "warn", reason="of a reason that is so long that no screen of sixty columns has room for it")
    monkeypatch.setitem(JUDGE.MEASURES, "long", lambda pair: [long])
    outcome = call("audit", images / "cell.TCF", images / "clean.npy")
    out = outcome.out
    assert outcome.code == 0
    assert "\x1b[" in outcome.err  # a line that says what is being done, and goes
    assert "\x1b[1;31m✗ fail" in out
    assert "\x1b[32m✓ pass" in out
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in out.splitlines()]
    wrapped = [line for line in plain if line.startswith(" " * 15)]
    assert len(wrapped) > 4
    assert all(len(line) <= 60 for line in wrapped)


def test_what_is_being_done_is_told(images: Path, three: None) -> None:
    told: list[str] = []
    found = examination.examine(read_pair(Source(images / "result.hdf")), show=told.append)
    assert [words.split(",")[0] for words in told] == ["measuring the noise", "calm", "storm", "fog", "writing"]
    assert told[2] == "storm, 2 of 3 measures"
    assert found.audit.verdict == "fail"


@pytest.mark.parametrize(("name", "code"), [("storm", 3), ("fog", 0), ("calm", 0)])
def test_strict_exits_with_3_where_a_measure_failed(
    name: str, code: int, images: Path, here: Path, three: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(JUDGE, "MEASURES", {name: JUDGE.MEASURES[name]})
    pair = [images / "cell.TCF", images / "clean.npy"]
    assert call("audit", *pair).code == 0
    assert call("audit", *pair, "--strict").code == code
    assert call("audit", *pair, "--strict", "--json", "-").code == code


def test_json_pictures_and_report(images: Path, here: Path, three: None) -> None:
    words = ["--json", "a.json", "--pictures", "new/pictures", "--report", "a.html"]
    lines = done(call("audit", images / "cell.TCF", images / "clean.npy", *words)).out.splitlines()
    assert [line.split()[-1] for line in lines if line.startswith("written")] == [
        "a.json",
        "new/pictures/01_storm.png",
        "a.html",
    ]
    told = json.loads((here / "a.json").read_text(encoding="utf-8"))
    assert (told["version"], told["verdict"], told["selftest"]) == (2, "fail", None)
    assert [one["measure"] for one in told["findings"]] == ["calm", "storm", "fog"]
    page = (here / "a.html").read_text(encoding="utf-8")
    assert "✗ fail" in page and "storm was found." in page and "Why: nothing is to be seen" in page
    assert "No training curve" not in page and "Complete settings" not in page
    assert sorted(path.name for path in here.rglob("*") if path.is_file()) == ["01_storm.png", "a.html", "a.json"]


def test_json_on_standard_output_is_one_object(images: Path, here: Path, three: None) -> None:
    told = json.loads(done(call("audit", images / "result.hdf", "--json", "-")).out)
    assert told["counts"] == {"fail": 1, "warn": 0, "cannot tell": 1, "pass": 1}
    outcome = call("audit", "nothere.TCF", "clean.npy", "--json", "-")
    assert outcome.code == 2
    assert json.loads(outcome.out)["error"] in outcome.err


def test_what_exists_is_kept(images: Path, here: Path, three: None) -> None:
    pair = [images / "cell.TCF", images / "clean.npy"]
    (here / "mine.json").write_text("mine")
    (here / "full").mkdir()
    (here / "full" / "mine.png").write_text("mine")
    for words in (["--json", "mine.json"], ["--report", "mine.json"], ["--pictures", "full"]):
        outcome = call("audit", *pair, *words)
        assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
        assert "--overwrite" in outcome.err
    for words in (["--json", str(pair[0])], ["--report", str(pair[1])]):
        outcome = call("audit", *pair, *words, "--overwrite")
        assert (outcome.code, "the image itself" in outcome.err) == (2, True)
    assert call("audit", *pair, "--pictures", "mine.json", "--overwrite").code == 2
    done(call("audit", *pair, "--json", "mine.json", "--pictures", "full", "--overwrite"))
    assert json.loads((here / "mine.json").read_text())["version"] == 2
    assert (here / "full" / "mine.png").read_text() == "mine"


def test_errors_are_one_line(images: Path, here: Path) -> None:
    np.save("even.npy", np.ones((32, 32), np.float32))
    outcome = call("audit", "even.npy", "even.npy")
    assert (outcome.code, outcome.err.count("\n")) == (1, 1)
    assert "constant" in outcome.err
    assert "known are none, max" in call("audit", "a.npy", "b.npy", "--projection", "mean").err


def test_it_starts_without_torch(images: Path) -> None:
    code = (
        "import sys\nfrom meeum.cli import main\ntry:\n    main()\n"
        "finally:\n    print('torch' in sys.modules, file=sys.stderr)"
    )
    words = ["audit", str(images / "cell.TCF"), str(images / "clean.npy")]
    ran = subprocess.run([sys.executable, "-c", code, *words], check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.splitlines()[-1] == "False"


# Real measures


def test_an_inverted_result_is_named_and_the_truth_is_not(images: Path, here: Path) -> None:
    def verdicts(name: str) -> dict[str, set[str]]:
        told = json.loads(call("audit", images / "cell.TCF", images / name, "--json", "-").out)
        return {key: {one["verdict"] for one in told["findings"] if one["measure"] == key} for key in JUDGE.MEASURES}

    assert "fail" not in verdicts("clean.npy")["inversion"]
    assert "fail" in verdicts("bad.npy")["inversion"]
    assert call("audit", images / "cell.TCF", images / "bad.npy", "--strict").code == 3


def test_self_test_is_told_and_written(images: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from meeum.auditing.selftest import SelfTest

    asked = []

    def tested(pair: object, measures: object) -> SelfTest:
        asked.append((pair, measures))
        return SelfTest((), 2, {}, {}, SHAPE, 2e-3, (), 1.5)

    monkeypatch.setattr(examination, "selftest", tested)
    pair = [images / "cell.TCF", images / "clean.npy"]
    out = done(call("audit", *pair, "--self-test", "--json", "a.json", "--report", "a.html")).out
    assert "self-test      On 2 perfect results it raised no false alarm." in out
    assert json.loads((here / "a.json").read_text())["selftest"]["draws"] == 2
    assert "On 2 perfect results" in (here / "a.html").read_text(encoding="utf-8")
    assert list(asked[0][1]) == list(JUDGE.MEASURES)


# The audit of a run


def test_denoise_audits_says_and_writes_it(images: Path, here: Path, three: None) -> None:
    outcome = done(call("denoise", images / "cell.TCF", "--out", "out", *TINY, *TWO_STEPS))
    lines = outcome.out.splitlines()
    assert any(re.fullmatch(r"Audit: done \(\S+ s\)", line) for line in lines)
    assert f"✗ fail         {'about storm':<30}  0.75 noise std, ideal 0" in lines
    assert not any("about calm" in line or "about fog" in line for line in lines)  # no objection
    told = json.loads((here / "out" / "audit.json").read_text(encoding="utf-8"))
    assert (told["verdict"], told["asked"], told["noisy"]) == ("fail", True, "cell.TCF")
    assert told["noise"]["std"] == pytest.approx(api.load("out").noise.std)
    assert "about storm" in (here / "out" / "report.html").read_text(encoding="utf-8")
    assert re.search(r"audit, \S+ s: fail: 1 failed", (here / "out" / "log.txt").read_text())
    assert not any("estimated error without truth" in line or "the mean of" in line for line in lines)


def test_strict_decides_the_exit_code_of_a_run(images: Path, here: Path, three: None) -> None:
    words = [images / "cell.TCF", *TINY, *TWO_STEPS]
    outcome = call("denoise", *words, "--out", "out", "--strict")
    assert outcome.code == 3
    assert (here / "out" / "report.html").is_file()
    outcome = call("denoise", images / "cell.TCF", "--model", "out", "--out", "again", "--strict", "--json")
    assert outcome.code == 3
    assert json.loads(outcome.out)["audit"]["verdict"] == "fail"


def test_the_network_is_asked_by_run_and_command(images: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def asking(pair: Pair) -> list[Finding]:
        answer = pair.denoise(pair.pieces[0].noisy + np.float32(pair.offset)) if pair.denoise else np.zeros(1)
        return [made("answer", "pass", float(answer.mean()))]

    monkeypatch.setattr(JUDGE, "MEASURES", {"answer": asking})
    done(call("denoise", images / "cell.TCF", "--out", "out", *TINY, *TWO_STEPS))
    told = json.loads((here / "out" / "audit.json").read_text())
    values = [one["value"] for one in told["findings"]]
    clean = io.read(here / "out" / "results" / "0.hdf", dataset="output")
    assert values == pytest.approx([clean.read().mean()], rel=1e-5)
    words = ["audit", images / "cell.TCF", here / "out" / "results" / "0.hdf", "--json", "-"]
    asked = json.loads(done(call(*words, "--model", "out")).out)
    assert [one["value"] for one in asked["findings"]] == pytest.approx(values, rel=1e-5)
    assert json.loads(done(call(*words)).out)["findings"][0]["value"] == 0
    np.save("flat.npy", clean.read()[0])
    refused = call("audit", "flat.npy", "flat.npy", "--model", "out")
    assert (refused.code, "trained on ZYX" in refused.err) == (2, True)


def test_an_image_without_measurable_noise_is_still_denoised(images: Path, here: Path, three: None) -> None:
    done(call("denoise", images / "cell.TCF", "--out", "out", *TINY, *TWO_STEPS))
    even = Volume(np.full(SHAPE, 1.337, np.float32), "ZYX", quantity="refractive index")
    io.write(even, here / "even.h5")
    outcome = done(call("denoise", "even.h5", "--model", "out", "--out", "even", "--strict"))
    assert "nothing could be judged" in outcome.out
    assert json.loads((here / "even" / "audit.json").read_text())["verdict"] == "cannot tell"
    assert (here / "even" / "report.html").is_file()


def test_readme_commands_run(images: Path, here: Path) -> None:
    section = README.read_text(encoding="utf-8").split("## Judge the result")[1].split("\n## ")[0]
    block = re.findall(r"```sh\n(.*?)```", section, flags=re.DOTALL)[0]
    for name, source in {"cell.TCF": "cell.TCF", "denoised.tif": "clean.tif"}.items():
        (here / name).write_bytes((images / source).read_bytes())
    done(call("denoise", "cell.TCF", *TINY, *TWO_STEPS))
    commands = [shlex.split(line.split("#")[0]) for line in block.splitlines() if "--self-test" not in line]
    assert len(commands) >= 3
    for words in commands:
        assert words[0] == "meeum"
        if words[1] == "audit":
            assert call(*words[1:]).code in (0, 3), words
