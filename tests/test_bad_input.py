"""Bad input: one line that says what is wrong and what would work, the right exit code, and nothing left behind."""

import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import tifffile
import torch
from command import TINY, TINY_2D, TWO_STEPS, Outcome, call

from meeum import api, io, phantom
from meeum.folder import MODEL_FILE
from meeum.volume import Volume

SHAPE = (12, 32, 32)
FAST = (*TINY, *TWO_STEPS)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """cell.TCF, flat.npy (2D) and a 2D model trained on it."""
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("images")
    io.write(phantom.make(SHAPE, seed=0).noisy, place / "cell.TCF")
    np.save(place / "flat.npy", np.random.default_rng(0).normal(100, 9, (32, 32)))
    assert call("train", place / "flat.npy", "--out", place / "flat", *TINY_2D, *TWO_STEPS).code == 0
    assert call("train", place / "cell.TCF", "--out", place / "model", *FAST).code == 0
    return place


@pytest.fixture
def here(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a copy of cell.TCF and nothing else."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cell.TCF").write_bytes((images / "cell.TCF").read_bytes())
    return tmp_path


def assert_one_line(outcome: Outcome, code: int, *expected: str) -> None:
    assert outcome.err.startswith("meeum: "), outcome.err or outcome.out
    assert outcome.err.count("\n") == 1, outcome.err
    assert outcome.code == code, outcome.err
    for words in expected:
        assert words in outcome.err


def assert_refused(here: Path, *words: object, code: int, expected: tuple[str, ...]) -> None:
    """`meeum denoise WORDS` says no in one line and leaves every file and folder as it was."""
    before = sorted((path, path.is_file() and path.read_bytes()) for path in here.rglob("*"))
    assert_one_line(call("denoise", *words), code, *expected)
    assert sorted((path, path.is_file() and path.read_bytes()) for path in here.rglob("*")) == before


def settings(*given: str) -> list[str]:
    return [word for setting in given for word in ("--set", setting)]


# Files


def text(path: Path) -> None:
    path.write_text("no HDF5 at all\n" * 50)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path) -> None:
    io.write(phantom.make(SHAPE).noisy, path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size * 2 // 3)


def without_data(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["Data/2DMIP/000000"] = np.ones((8, 8), np.uint16)


def without_frames(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_group("Data/3D")


def of_complex(path: Path) -> None:
    np.save(path, np.ones((8, 16, 16), complex))


def of_nan(path: Path) -> None:
    values = np.random.default_rng(0).normal(size=SHAPE)
    values[3, 4, 5] = np.nan
    np.save(path, values)


def of_nan_alone(path: Path) -> None:
    np.save(path, np.full(SHAPE, np.nan))


def constant(path: Path) -> None:
    np.save(path, np.full(SHAPE, 1.337))


def one_pixel(path: Path) -> None:
    np.save(path, np.ones((1, 1)))


def no_pixel(path: Path) -> None:
    np.save(path, np.ones((0, 5)))


def one_dimension(path: Path) -> None:
    np.save(path, np.arange(100.0))


def of_objects(path: Path) -> None:
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)


def of_words(path: Path) -> None:
    np.save(path, np.array([["a", "b"], ["c", "d"]]))


def in_colour(path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (32, 40, 3), dtype=np.uint8)
    tifffile.imwrite(path, picture, photometric="rgb")


def two_datasets(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["a"], file["b"] = np.ones((8, 8)), np.ones((8, 8))


def a_folder(path: Path) -> None:
    path.mkdir()


def nothing(path: Path) -> None:
    pass


FILES: list[tuple[str, Callable[[Path], None], int, tuple[str, ...]]] = [
    ("text.TCF", text, 1, ("not an HDF5 file",)),
    ("empty.TCF", empty, 1, ("not an HDF5 file",)),
    ("cut.TCF", truncated, 1, ("truncated", "copy it again")),
    ("other.TCF", without_data, 1, ("no group Data/3D", "Data/2DMIP")),
    ("none.TCF", without_frames, 1, ("Data/3D has no frame",)),
    ("complex.npy", of_complex, 1, ("complex", "modulus or phase")),
    ("nan.npy", of_nan, 1, ("1 of 12288 values", "nan", "--set input.no_data=nan")),
    ("nans.npy", of_nan_alone, 1, ("12288 of 12288 values",)),
    ("constant.npy", constant, 1, ("the image is constant (1.337 everywhere)",)),
    ("pixel.npy", one_pixel, 1, ("the image is constant",)),
    ("nopixel.npy", no_pixel, 1, ("empty", "(0, 5)")),
    ("line.npy", one_dimension, 1, ("1 dimension", "(100,)")),
    ("objects.npy", of_objects, 1, ("Python objects",)),
    ("words.npy", of_words, 1, ("no grey values",)),
    ("text.npy", text, 1, ("cannot be read as a .npy",)),
    ("text.tif", text, 1, ("cannot be read as TIFF",)),
    ("rgb.tif", in_colour, 2, ("colour (RGB) picture of 3 channels", "--channel")),
    ("two.h5", two_datasets, 2, ("--dataset", "a (8, 8) float64")),
    ("folder.TCF", a_folder, 2, ("is a folder",)),
    ("nothere.TCF", nothing, 2, ("no such file",)),
    ("cell.xyz", text, 2, ("unknown suffix '.xyz'", ".tcf", ".npy")),
]


@pytest.mark.parametrize(
    ("name", "make", "code", "expected"), FILES, ids=[f"{row[1].__name__}-{row[0]}" for row in FILES]
)
def test_file(name: str, make: Callable[[Path], None], code: int, expected: tuple[str, ...], here: Path) -> None:
    make(here / name)
    assert_refused(here, name, *FAST, code=code, expected=(name, *expected))
    assert call("train", name, "--out", "model", *FAST).code == code
    assert not (here / "model").exists()


@pytest.mark.parametrize("name", ["text.TCF", "nothere.TCF", "rgb.tif"])
def test_info_of_such_a_file(name: str, here: Path) -> None:
    make, code, expected = next(row[1:] for row in FILES if row[0] == name)
    make(here / name)
    assert_one_line(call("info", name), code, name, *expected)


def test_no_picture_of_a_second_dataset(here: Path) -> None:
    two_datasets(here / "two.h5")
    assert_refused(here, "two.h5", "--dataset", "c", code=2, expected=("there is no dataset 'c'", "a (8, 8)"))


def test_unreadable_file(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locked = here / "cell.TCF"
    if os.geteuid() == 0:  # nothing is unreadable to the superuser

        def refuse(path: Path, *_: object, **__: object) -> object:
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(Path, "open", refuse)
    else:
        locked.chmod(0)
    outcome = call("denoise", "cell.TCF", *FAST)
    locked.chmod(stat.S_IRUSR | stat.S_IWUSR)
    assert_one_line(outcome, 1, "cell.TCF", "Permission denied")
    assert [path.name for path in here.iterdir()] == ["cell.TCF"]


def test_missing_attributes_are_a_warning(here: Path) -> None:
    with h5py.File(here / "bare.TCF", "w") as file:
        file["Data/3D/000000"] = np.rint(phantom.make(SHAPE).noisy.read() * 1e4).astype(np.uint16)
    outcome = call("denoise", "bare.TCF", *FAST)
    assert outcome.code == 0, outcome.err
    for words in ("bare.TCF: Data/3D states no ResolutionZ: the voxel size is unknown", "Info/Device states no RI"):
        assert words in outcome.out
        assert words in (here / "bare_meeum" / "log.txt").read_text()
        assert words.removeprefix("bare.TCF: ") in (here / "bare_meeum" / "report.html").read_text(encoding="utf-8")


def test_nan_is_fine_where_it_is_declared(here: Path) -> None:
    of_nan(here / "nan.npy")
    assert call("denoise", "nan.npy", *FAST, *settings("input.no_data=nan")).code == 0


# Settings

MEAN = ("masking.masking=mean",)
SETTINGS: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    (("masking.masking=N2V",), ("unknown scheme 'N2V'", "UPS, G, GF, GPS, mean, median")),
    (("masking.mask_size=4",), ("[masking] mask_size: 4 is not odd", "try 5")),
    (("masking.mask_size=0",), ("[masking] mask_size: 0 is not odd", "try 3")),
    (("masking.mask_size=13",), ("mask_size: 13 is larger than cell.TCF", "12x32x32", "at most 11")),
    (("masking.mask_size=7,7",), ("mask_size: 2 numbers given for an image with 3 axes", "give 1 or 3")),
    (("masking.mask_size=5",), ("lies inside the footprint 2, 2, 2", "try 7, 7, 7")),
    (("masking.footprint=1,1",), ("footprint: 2 numbers given for an image with 3 axes", "give 1 or 3")),
    (("masking.footprint=-1",), ("footprint", "greater than or equal to 0", "half-widths")),
    (("masking.masking=UPS",), ("masking = UPS needs mask_size", "side of the window in pixels (odd)", "try 5")),
    (("masking.masking=gf",), ("needs mask_size", "try 5")),
    (("masking.masking=GPS",), ("GPS needs mask_std", "displacement in pixels", "try ")),
    (("masking.masking=GPS", "masking.mask_std=0.2"), ("[masking] mask_std: 0.2", "GPS needs", "0.5")),
    (("masking.masking=G", "masking.mask_std=0"), ("[masking] mask_std: 0", "above 0")),
    (("masking.masking=G", "masking.mask_std=-1"), ("[masking] mask_std: -1", "above 0")),
    (("training.objective=n2n",), ("unknown objective 'n2n'", "known are auto, masked")),
    (("network.network=transformer",), ("unknown network 'transformer'", "known are unet")),
    (("training.device=tpu",), ("device: 'tpu' is not on this machine", "cpu")),
    (("training.device=cuda:9",), ("device: 'cuda:9' is not on this machine", "cpu")),
    (("output.formats=jpg",), ("formats", "given 'jpg'", "'npy'")),
    (("training.patch=8,16",), ("patch: 2 sides given for 3 axes", "give 1 or 3")),
    (("prediction.memory_gb=0.00001",), ("[prediction] memory_gb", "smallest tile", "times as much")),
    (("prediction.memory_gb=1e-9",), ("[prediction] memory_gb", "smallest tile", "times as much")),
    (("training.minutes=soon",), ("minutes", "given 'soon'", "time to train")),
    (("input.projection=min",), ("projection", "'none' or 'max'")),
    (("training.stepz=4",), ("stepz: unknown key", "steps, patch")),
    (("trainig.steps=4",), ("[trainig]: unknown section", "training")),
    (("steps=4",), ("--set steps=4: expected section.key=value",)),
    (("input.dataset=a",), ("cell.TCF", "dataset")),
]


@pytest.mark.parametrize(("given", "expected"), SETTINGS, ids=[",".join(row[0]) for row in SETTINGS])
def test_setting(given: tuple[str, ...], expected: tuple[str, ...], here: Path) -> None:
    assert_refused(here, "cell.TCF", *FAST, *settings(*given), code=2, expected=expected)


@pytest.mark.parametrize(
    ("ini", "words", "expected"),
    [
        ("[masking]\nmasking = GSP\n", (), "run.ini [masking] masking: unknown scheme 'GSP'; known are UPS"),
        ("[masking]\nmasking = GPS\n", ("masking.masking=medain",), "command line [masking] masking: unknown scheme"),
        ("[training]\nobjective = mask\n", (), "run.ini [training] objective: unknown objective 'mask'"),
        ("[network]\nnetwork = unit\n", (), "run.ini [network] network: unknown network 'unit'"),
    ],
)
def test_unknown_names_are_found_before_the_noise_is_measured(
    ini: str, words: tuple[str, ...], expected: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meeum.preparation.preparing", lambda *_, **__: 1 / 0)
    monkeypatch.setattr("meeum.api.measure_noise", lambda *_, **__: 1 / 0)
    (here / "run.ini").write_text(ini)
    for command in ("denoise", "compare"):
        outcome = call(command, "cell.TCF", "--config", "run.ini", *settings(*words))
        assert_one_line(outcome, 2, expected, "did you mean ")
        assert outcome.out == ""


def test_objects_are_refused_without_advice_to_load_them(here: Path) -> None:
    (here / "text.npy").write_text("no array at all")
    of_objects(here / "objects.npy")
    for name in ("text.npy", "objects.npy"):
        outcome = call("info", name)
        assert_one_line(outcome, 1, f"{name}: cannot be read as a .npy array of numbers; it may be truncated")
        assert "pickle" not in outcome.err


def test_help_says_what_is_meant_in_each_command() -> None:
    told = {name: " ".join(re.sub(r"[│\s]+", " ", call(name, "--help").out).split()) for name in ("compare", "config")}
    assert "time to train each of the runs" in told["compare"]
    assert "replace the file if there is one" in told["config"]
    assert "earlier run" not in told["config"]


def test_voxels_without_data_can_be_named(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(100, 9, (32, 32))
    values[:, :4] = np.nan
    np.save(here / "hole.npy", values)
    assert call("denoise", "hole.npy", "--no-data", "nan", *TINY_2D, *TWO_STEPS).code == 0
    assert "no_data = nan" in (here / "hole_meeum" / "settings.ini").read_text()
    assert call("train", "hole.npy", "--no-data", "nan", "--out", "model", *TINY_2D, *TWO_STEPS).code == 0


@pytest.mark.parametrize("given", [row[0] for row in SETTINGS if row[0][0].startswith("masking.masking")])
def test_setting_in_an_ini(given: tuple[str, ...], here: Path) -> None:
    lines = (word.removeprefix("masking.").replace("=", " = ") for word in given)
    (here / "run.ini").write_text("[masking]\n" + "\n".join(lines) + "\n")
    assert_refused(here, "cell.TCF", "--config", "run.ini", *FAST, code=2, expected=("[masking]",))


def test_missing_std_of_g_suggests_half_of_the_std(here: Path) -> None:
    outcome = call("denoise", "cell.TCF", *FAST, *settings("masking.masking=G"))
    assert_one_line(outcome, 2, "masking = G needs mask_std", "standard deviation of the added noise in data units")
    suggested = float(outcome.err.split("; try ")[1].split(",")[0])
    half = io.read(here / "cell.TCF").read().std(dtype=float) / 2
    assert suggested == pytest.approx(half, rel=0.15)  # the image's std is taken without its 0.1 % extremes
    again = call("denoise", "cell.TCF", *FAST, *settings("masking.masking=G", f"masking.mask_std={suggested}"))
    assert again.code == 0, again.err


def test_what_a_message_suggests_works(here: Path) -> None:
    """After a refusal the corrected command is not refused because of what the first one left."""
    assert call("denoise", "cell.TCF", *FAST, *settings("masking.masking=UPS")).code == 2
    assert call("denoise", "cell.TCF", *FAST, *settings("masking.masking=UPS", "masking.mask_size=5")).code == 0


def test_patches_larger_than_the_image_shrink(here: Path) -> None:
    outcome = call("denoise", "cell.TCF", *FAST, *settings("training.patch=100"))
    assert outcome.code == 0, outcome.err
    assert api.load(here / "cell_meeum").settings.training.patch == SHAPE


def test_files_of_different_kinds_train_no_model(images: Path, here: Path) -> None:
    outcome = call("train", "cell.TCF", images / "flat.npy", "--out", "model", *FAST)
    assert_one_line(outcome, 2, "flat.npy (YX, intensity) and cell.TCF (ZYX, refractive index) cannot train one model")
    assert not (here / "model").exists()


@pytest.mark.parametrize("options", [["--minutes", "0"], ["--minutes", "long"], ["--channel", "-1"], ["--speed", "9"]])
def test_mistyped_option(options: list[str], here: Path) -> None:
    outcome = call("denoise", "cell.TCF", *options)
    assert outcome.code == 2
    assert options[0] in outcome.err
    assert [path.name for path in here.iterdir()] == ["cell.TCF"]


def test_missing_or_broken_ini(here: Path) -> None:
    assert_refused(here, "cell.TCF", "--config", "nothere.ini", code=2, expected=("`meeum config --init nothere.ini`",))
    (here / "run.ini").write_bytes(bytes(range(256)))
    assert_refused(here, "cell.TCF", "--config", "run.ini", code=2, expected=("run.ini: not a readable INI file",))


# Grids


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--preset", "best"), ("--preset best: known are objectives, note",)),
        (("--vary", "masking.mask_size"), ("--vary masking.mask_size: expected section.key=a,b,c",)),
        (("--vary", "masking.mask_sizes=3,5"), ("mask_sizes: unknown key", "mask_size")),
        (("--vary", "training.objective=masked,n2n"), ("unknown objective 'n2n'", "known are auto, masked")),
        (
            ("--preset", "note", "--set", "masking.footprint=1"),
            ("masking.footprint is among what is compared", "--vary"),
        ),
        (("--truth", "nothere.TCF"), ("nothere.TCF: no such file",)),
        (("--out", "cell.TCF"), ("cell.TCF: is a file",)),
        (("--out", "."), ("holds no comparison",)),
    ],
)
def test_grid(words: tuple[str, ...], expected: tuple[str, ...], here: Path) -> None:
    assert_one_line(call("compare", "cell.TCF", *FAST, *words), 2, *expected)
    assert [path.name for path in here.iterdir()] == ["cell.TCF"]


@pytest.mark.parametrize("other", [("--model", "model"), ("--resume",)])
def test_choosing_where_nothing_is_trained_anew(other: tuple[str, ...], here: Path) -> None:
    assert_refused(here, "cell.TCF", "--choose", *other, code=2, expected=("--choose tries trainings", "leave out one"))


def test_a_repeat_where_nothing_is_trained(here: Path) -> None:
    expected = ("--repeat tells the noise before a training", "leave out one")
    assert_refused(here, "cell.TCF", "--repeat", "cell.TCF", "--model", "model", code=2, expected=expected)


# Models


def test_no_model_there(here: Path) -> None:
    for name in (".", "nothere", "nothere/model.safetensors"):
        assert_refused(here, "cell.TCF", "--model", name, code=2, expected=("there is no model here", "`meeum train"))


def test_file_that_is_no_model(here: Path) -> None:
    assert_refused(here, "cell.TCF", "--model", "cell.TCF", code=1, expected=("cell.TCF: not a readable model",))


def test_damaged_model(images: Path, here: Path) -> None:
    whole = (images / "model" / MODEL_FILE).read_bytes()
    (here / MODEL_FILE).write_bytes(whole[: len(whole) // 2])
    assert_refused(here, "cell.TCF", "--model", ".", code=1, expected=("damaged or cut short",))
    (here / MODEL_FILE).write_bytes(whole[:200] + b"\xff" + whole[201:])
    assert_refused(here, "cell.TCF", "--model", MODEL_FILE, code=1, expected=(MODEL_FILE,))


def test_model_of_planes_for_a_volume(images: Path, here: Path) -> None:
    expected = ("cell.TCF: axes ZYX, but the model was trained on YX", "--projection max")
    assert_refused(here, "cell.TCF", "--model", images / "flat", code=2, expected=expected)


def test_model_with_too_little_memory(images: Path, here: Path) -> None:
    words = ["--model", images / "model", *settings("prediction.memory_gb=0.00001")]
    assert_refused(here, "cell.TCF", *words, code=2, expected=("[prediction] memory_gb",))


# Outputs


def test_existing_output(here: Path) -> None:
    assert call("denoise", "cell.TCF", *FAST).code == 0
    expected = ("cell_meeum: exists; choose another with --out, or replace it with --overwrite",)
    assert_refused(here, "cell.TCF", *FAST, code=2, expected=expected)
    first = (here / "cell_meeum" / "model.safetensors").read_bytes()
    assert call("denoise", "cell.TCF", *FAST, "--overwrite", *settings("training.seed=1")).code == 0
    assert (here / "cell_meeum" / "model.safetensors").read_bytes() != first


def test_output_that_is_no_run(here: Path) -> None:
    (here / "thesis" / "results").mkdir(parents=True)
    (here / "thesis" / "results" / "figure.png").write_text("years of work")
    words = ["cell.TCF", "--out", "thesis", *FAST]
    assert_refused(here, *words, code=2, expected=("thesis: exists",))
    assert_refused(here, *words, "--overwrite", code=2, expected=("is not a meeum run, so it is not replaced",))
    assert_refused(here, "cell.TCF", "--out", "cell.TCF", "--overwrite", code=2, expected=("cell.TCF: exists",))


def test_output_below_a_file(here: Path) -> None:
    assert_refused(here, "cell.TCF", "--out", "cell.TCF/run", *FAST, code=2, expected=("cell.TCF is a file",))


@contextmanager
def files_of_at_most(count: int) -> Iterator[None]:
    """No file may grow beyond `count` bytes: what a full disk does, without one."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("count", "name"), [(100, "settings.ini"), (5000, "model.safetensors"), (100_000, "report.html")]
)
def test_full_disk(count: int, name: str, here: Path) -> None:
    """What there was of the training, all of it when the report is written, is gone on from."""
    with files_of_at_most(count):
        outcome = call("denoise", "cell.TCF", *FAST)
    assert_one_line(outcome, 1, f"cell_meeum/{name}", "File too large")
    left = [path for path in here.rglob("*") if path.name.startswith(".") or "partial" in path.name]
    assert left == []
    onward = ("--resume",) if name == "report.html" else (*FAST, "--overwrite")
    assert call("denoise", "cell.TCF", *onward).code == 0


def test_results_that_would_not_fit(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = [16 * 32 * 32 * 12 - 1]  # input, output and what was removed in HDF5, and a TCF
    monkeypatch.setattr("meeum.folder.shutil.disk_usage", lambda path: SimpleNamespace(free=free[0]))
    expected = ("cell_meeum: the results take up to 0.000197 GB, and 0.000197 GB are free there", "--out")
    assert_refused(here, "cell.TCF", *FAST, code=1, expected=expected)
    free[0] += 1
    assert call("denoise", "cell.TCF", *FAST, "--out", "deep/run").code == 0


@contextmanager
def nothing_can_be_written() -> Iterator[None]:
    def refuse(**where: object) -> None:
        raise PermissionError(13, "Permission denied")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("meeum.folder.tempfile.TemporaryFile", refuse)
        yield


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["denoise", "cell.TCF", "--out", "a"], "a"),
        (["train", "cell.TCF", "--out", "a"], "a"),
        (["compare", "cell.TCF", "--out", "a"], "a"),
        (["ask", "--out", "a"], "a"),
        (["audit", "cell.TCF", "cell.TCF", "--report", "r.html"], "r.html"),
        (["audit", "cell.TCF", "cell.TCF", "--pictures", "p"], "p"),
        (["noise", "cell.TCF", "--json", "n.json"], "n.json"),
        (["noise", "cell.TCF", "--pictures", "p"], "p"),
    ],
)
def test_what_cannot_be_written_is_known_before_the_work(words: list[str], named: str, here: Path) -> None:
    with nothing_can_be_written():
        outcome = call(*words)
    assert_one_line(outcome, 2, f"meeum: {named}: cannot be written: ", "Permission denied")
    assert [path.name for path in here.iterdir()] == ["cell.TCF"]


@pytest.mark.parametrize("command", [["denoise", "cell.TCF"], ["train", "cell.TCF"], ["ask"], ["compare", "cell.TCF"]])
def test_a_folder_in_folders_that_do_not_exist_was_mistyped(command: list[str], here: Path) -> None:
    outcome = call(*command, "--out", "reslts/2024/cell")
    assert_one_line(outcome, 2, "meeum: reslts/2024/cell: the folder reslts does not exist; create it first")
    outcome = call(*command, "--out", "cell.TCF/run")
    assert_one_line(outcome, 2, "meeum: cell.TCF/run: ", "cell.TCF is a file")


def test_verdicts_are_shown_before_a_report_that_cannot_be_written(here: Path) -> None:
    with files_of_at_most(100_000):
        outcome = call("audit", "cell.TCF", "cell.TCF", "--report", "r.html")
    told = "meeum: r.html: could not be written (File too large); nothing was left behind\n"
    assert (outcome.code, outcome.err) == (1, told)
    assert "audit of cell.TCF against cell.TCF" in outcome.out


def test_full_disk_at_an_ini(here: Path) -> None:
    with files_of_at_most(100):
        outcome = call("config", "--init", "run.ini")
    assert_one_line(outcome, 1, "run.ini: could not be written (File too large)")
    assert [path.name for path in here.iterdir()] == ["cell.TCF"]


def test_refractive_index_is_needed_for_a_tcf(images: Path, here: Path) -> None:
    np.save(here / "grey.npy", np.random.default_rng(0).normal(100, 9, SHAPE))
    words = ["grey.npy", *FAST, *settings("output.formats=tcf")]
    assert_refused(here, *words, code=2, expected=("tcf holds volumes of refractive index", "grey.npy", "hdf"))
    words = ["cell.TCF", "--projection", "max", *TINY_2D, *TWO_STEPS, *settings("output.formats=tcf")]
    assert_refused(here, *words, code=2, expected=("axes YX",))


@pytest.mark.parametrize("bad", ["text.TCF", "nothere.TCF"])
def test_json_of_bad_input(bad: str, here: Path) -> None:
    text(here / "text.TCF")
    for command in ("denoise", "info"):
        outcome = call(command, bad, "--json")
        told = json.loads(outcome.out)
        assert outcome.err == f"meeum: {told['error']}\n"
        assert told["exit_code"] == outcome.code


def test_python_says_the_same(here: Path) -> None:
    constant(here / "constant.npy")
    with pytest.raises(api.UsageError, match=r"nothere\.TCF: no such file"):
        api.read("nothere.TCF")
    with pytest.raises(Exception, match="the image is constant"):
        api.train(api.read("constant.npy"))
    with pytest.raises(api.UsageError, match="no image given to train on"):
        api.train(())
    with pytest.raises(api.UsageError, match="axes 'XY' do not fit"):
        Volume(np.ones((4, 4)), "XY")
