"""napari: manifest, readers, writer, and the widgets, without a screen."""

import json
import os
import subprocess
import sys
import time
import tomllib
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from command import TINY

from meeum import api, io, phantom, request, run
from meeum.comparing import grid
from meeum.errors import UsageError
from meeum.ini import to_ini
from meeum.job import Job
from meeum.masking import SCHEMES
from meeum.networks import NETWORKS
from meeum.objectives import OBJECTIVES
from meeum.settings import Settings, assumed, override
from meeum.volume import Volume

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("NAPARI_CONFIG", "")  # somebody's own napari stays as it is
with warnings.catch_warnings():  # of third parties, while they are imported
    warnings.simplefilter("ignore")
    for name in ("napari", "qtpy", "npe2"):
        pytest.importorskip(name, reason="the plugin is tested where napari is: pip install '.[napari]'")
    pytest.importorskip("qtpy.QtWidgets", reason="Qt cannot be loaded here", exc_type=ImportError)
    from napari.components import ViewerModel
    from napari.layers import Image
    from napari.utils.notifications import notification_manager
    from npe2 import PluginManifest
    from qtpy.QtCore import QEvent
    from qtpy.QtWidgets import QApplication

    from meeum.napari_plugin import asked, compare, layers, opening, saving, schema
    from meeum.napari_plugin.audit import AuditPanel
    from meeum.napari_plugin.choice import go_to
    from meeum.napari_plugin.compare import ComparePanel
    from meeum.napari_plugin.denoise import DenoisePanel
    from meeum.napari_plugin.form import Form

pytestmark = [
    pytest.mark.filterwarnings(f"ignore:::{name}.*")
    for name in ("napari", "vispy", "superqt", "npe2", "dask", "psygnal", "pydantic", "qtpy", "app_model")
]

ROOT = Path(__file__).resolve().parents[1]
PLUGIN = ROOT / "src" / "meeum" / "napari_plugin"
SHAPE = (12, 32, 32)
WORDS = " ".join(TINY[1::2])
CHANGED = {  # another value of each setting that is a line of text
    "input.no_data": "0",
    "masking.mask_std": "0.5",
    "masking.mask_size": "5,5,5",
    "masking.footprint": "1",
    "masking.share": "0.01",
    "network.width": "3",
    "training.steps": "7",
    "training.patch": "8,16,16",
    "training.batch": "3",
    "training.turn": "YX",
    "training.patience": "0.5",
    "prediction.keep_means": "2.5",
    "output.formats": "npy,tif",
}


@pytest.fixture(scope="module")
def screen() -> object:
    torch.set_num_threads(1)
    return QApplication.instance() or QApplication([])


@pytest.fixture
def viewer(screen: object) -> Iterator[ViewerModel]:
    notification_manager.records.clear()
    yield ViewerModel()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """cell.TCF, and cell_meeum, a run of it."""
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("napari")
    io.write(phantom.make(SHAPE, seed=1).noisy, place / "cell.TCF")
    settings = override(assumed(SHAPE), [*TINY[1::2], "training.steps=3"])
    job = Job([api.read(place / "cell.TCF")], place / "cell_meeum", settings, "meeum denoise")
    assert list(run.start(job))[-1].stage == "done"
    return place


def wait(until: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "waited too long"
        QApplication.processEvents()
        time.sleep(0.005)


def added(viewer: ViewerModel, found: list[layers.LayerData]) -> list[object]:
    return [getattr(viewer, f"add_{kind}")(data, **attributes) for data, attributes, kind in found]


def read(path: Path) -> list[layers.LayerData]:
    reader = opening.get_reader(str(path))
    assert reader is not None
    return reader(str(path))


def told() -> str:
    return " ".join(str(one.message) for one in notification_manager.records)


# The manifest


def test_manifest_is_valid_and_every_command_resolves() -> None:
    manifest = PluginManifest.from_file(PLUGIN / "napari.yaml")
    assert manifest.name == "meeum"
    commands = {command.id: command.python_name for command in manifest.contributions.commands or ()}
    for target in commands.values():
        module, _, attribute = str(target).partition(":")
        assert callable(getattr(import_module(module), attribute)), target
    used = [
        *(manifest.contributions.readers or ()),
        *(manifest.contributions.writers or ()),
        *(manifest.contributions.widgets or ()),
        *(manifest.contributions.sample_data or ()),
    ]
    assert {one.command for one in used} == set(commands)
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["napari.manifest"]
    assert stated == {"meeum": "meeum.napari_plugin:napari.yaml"}


def test_nothing_imports_torch_before_a_widget_runs(files: Path) -> None:
    names = sorted(path.stem for path in PLUGIN.glob("*.py") if path.stem != "__init__")
    program = (
        f"import sys, warnings; warnings.simplefilter('ignore')\n"
        f"for name in {names!r}: __import__('meeum.napari_plugin.' + name)\n"
        f"from meeum.napari_plugin import opening; opening.read_run({str(files / 'cell_meeum')!r})\n"
        f"print('torch' in sys.modules)"
    )
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "False"


# Readers


def test_tcf_becomes_a_lazy_layer_in_micrometres(files: Path, viewer: ViewerModel) -> None:
    volume = io.read(files / "cell.TCF")
    ((data, attributes, kind),) = read(files / "cell.TCF")
    assert (kind, attributes["name"], attributes["colormap"]) == ("image", "cell.TCF", "viridis")
    assert attributes["scale"] == volume.voxel_size_um
    assert attributes["units"] == ("um",) * 3
    assert type(data).__module__.startswith("dask")
    assert np.array_equal(np.asarray(data), volume.read())
    low, high = attributes["contrast_limits"]
    assert volume.read().min() <= low < high <= volume.read().max()
    (layer,) = added(viewer, [(data, attributes, kind)])
    assert isinstance(layer, Image)
    assert layer.axis_labels == ("z", "y", "x")
    assert layers.recovered(*layer.as_layer_data_tuple()[:2]).file == files / "cell.TCF"


def test_only_the_pieces_that_are_shown_are_read(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "CHUNK", 4 * 4 * SHAPE[1] * SHAPE[2])
    ((data, _, _),) = read(files / "cell.TCF")
    assert data.chunks[0] == (4, 4, 4)
    volume, asked_for = io.read(files / "cell.TCF"), []
    plain = volume.data

    class Watched:
        shape, dtype = plain.shape, plain.dtype

        def __getitem__(self, region: object) -> object:
            asked_for.append(region)
            return plain[region]

    np.asarray(layers.lazily(volume.with_data(Watched()))[5])
    planes = [np.atleast_1d(np.arange(SHAPE[0])[region[0]]) for region in asked_for]
    assert len(planes) == 1
    assert set(planes[0]) <= {4, 5, 6, 7}


def test_time_lapse_and_plane(tmp_path: Path) -> None:
    film = phantom.make((8, 16, 16), seed=2, settings=phantom.PhantomSettings(frames=3)).noisy
    io.write(film, tmp_path / "film.TCF")
    ((data, attributes, _),) = read(tmp_path / "film.TCF")
    assert data.shape == (3, 8, 16, 16)
    assert data.chunks[0] == (1, 1, 1)
    assert attributes["axis_labels"] == ("t", "z", "y", "x")
    assert len(attributes["scale"]) == 4
    assert attributes["units"][1:] == ("um",) * 3
    plane = Volume(film.read()[0, 4], "YX", (0.1, 0.2))
    io.write(plane, tmp_path / "plane.tif")
    ((data, attributes, _),) = read(tmp_path / "plane.tif")
    assert data.shape == (16, 16)
    assert attributes["scale"] == pytest.approx((0.1, 0.2))


def test_what_napari_reads_as_well_is_left_to_it(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "bare.tif", np.zeros((8, 8), np.uint8))
    np.save(tmp_path / "array.npy", np.zeros((8, 8)))
    (tmp_path / "photos").mkdir()
    for name in ("bare.tif", "array.npy", "photos", "absent.png"):
        assert opening.get_reader(str(tmp_path / name)) is None
    assert opening.get_reader([str(tmp_path / "a.TCF"), str(tmp_path / "b.TCF")]) is None


def test_run_folder_becomes_a_pair_with_one_window(files: Path, viewer: ViewerModel) -> None:
    found = read(files / "cell_meeum")
    named = {attributes["name"].removeprefix("cell_meeum "): (data, attributes) for data, attributes, _ in found}
    assert {"noisy", "denoised", "residual"} <= set(named)
    noisy, denoised, residual = (np.asarray(named[name][0]) for name in ("noisy", "denoised", "residual"))
    assert np.array_equal(noisy, io.read(files / "cell.TCF").read())
    assert not np.array_equal(noisy, denoised)
    assert np.allclose(residual, noisy - denoised)
    assert named["noisy"][1]["contrast_limits"] == named["denoised"][1]["contrast_limits"]
    low, high = named["residual"][1]["contrast_limits"]
    assert low == -high < 0
    assert len({attributes["scale"] for _, attributes in named.values()}) == 1
    audit = json.loads((files / "cell_meeum" / "audit.json").read_text())
    assert named["denoised"][1]["metadata"]["verdict"] == audit["verdict"]
    added(viewer, found)
    assert viewer.layers["cell_meeum residual"].colormap.name == "crameri_vik"


def test_run_of_a_time_lapse_is_put_together_again(tmp_path: Path) -> None:
    film = phantom.make((8, 16, 16), seed=2, settings=phantom.PhantomSettings(frames=3)).noisy
    (tmp_path / "results").mkdir()
    (tmp_path / "command.txt").write_text("meeum denoise film.TCF\n")
    io.write_frames(tmp_path / "results", film.with_data(film.read() / 2), noisy=film)
    found = {attributes["name"].split()[-1]: data for data, attributes, _ in read(tmp_path)}
    assert np.array_equal(np.asarray(found["noisy"]), film.read())
    assert np.array_equal(np.asarray(found["denoised"][1:, 3]), film.read()[1:, 3] / 2)


def test_hot_spots_lie_where_the_audit_saw_them() -> None:
    volume = Volume(np.zeros((2, 8, 16, 16), np.float32), "TZYX", (0.4, 0.1, 0.1))
    place = {"frame": 1, "centre": [3.2, 5.0, 7.0], "radius": 2.0, "strength": 6.0}
    findings = [
        {"title": "structure lost", "verdict": "fail", "places": [place]},
        {"title": "gain", "verdict": "pass", "places": [place]},
    ]
    found = layers.spots_layer({"findings": findings}, volume)
    assert found is not None
    assert found[0].tolist() == [[1, 3, 5, 7]]
    assert found[1]["scale"] == (1.0, 0.4, 0.1, 0.1)
    assert found[1]["features"] == {"verdict": ["fail"], "measure": ["structure lost"]}
    assert layers.spots_layer({"findings": findings[1:]}, volume) is None


def test_samples_are_a_noisy_phantom_and_its_truth() -> None:
    ((noisy, seen, _),), ((truth, known, _),) = opening.noisy_phantom(), opening.true_phantom()
    assert noisy.shape == truth.shape == opening.SHAPE
    assert np.std(noisy - truth) == pytest.approx(4e-3, rel=0.1)
    assert seen["contrast_limits"] == known["contrast_limits"]


# The writer, and layers of others


@pytest.mark.parametrize("name", ["out.TCF", "out.zarr"])
def test_what_is_written_reads_back_the_same(name: str, files: Path, tmp_path: Path) -> None:
    if name.endswith("zarr"):
        pytest.importorskip("zarr", reason="OME-Zarr needs zarr")
    ((data, attributes, _),) = read(files / "cell.TCF")
    assert saving.write_image(str(tmp_path / name), data, attributes) == [str(tmp_path / name)]
    before, after = io.read(files / "cell.TCF"), io.read(tmp_path / name)
    assert np.allclose(after.read(), before.read(), atol=5.1e-5)  # TCF keeps ten-thousandths
    assert after.voxel_size_um == pytest.approx(before.voxel_size_um)
    assert after.quantity == "refractive index"


def test_the_input_is_never_written_over(files: Path) -> None:
    ((data, attributes, _),) = read(files / "cell.TCF")
    with pytest.raises(UsageError, match="inputs are never changed"):
        saving.write_image(str(files / "cell.TCF"), data, attributes)


def test_layers_of_others_are_understood() -> None:
    values = np.zeros((4, 8, 8), np.float32)
    layer = Image(values, scale=(400, 100, 100), units=("nm", "nm", "nm"))
    found = layers.recovered(*layer.as_layer_data_tuple()[:2])
    assert (found.volume.axes, found.file) == ("ZYX", None)
    assert found.volume.voxel_size_um == pytest.approx((0.4, 0.1, 0.1))
    assert layers.recovered(values, {}).volume.voxel_size_um is None
    film = Image(values, axis_labels=("t", "y", "x"), scale=(30, 0.1, 0.1), units=("s", "um", "um"))
    assert layers.recovered(*film.as_layer_data_tuple()[:2]).volume.axes == "TYX"
    with pytest.raises(UsageError, match="a colour picture"):
        layers.recovered(np.zeros((8, 8, 3)), {"rgb": True, "name": "photo"})


def test_changed_data_are_no_longer_those_of_the_file(files: Path) -> None:
    ((data, attributes, _),) = read(files / "cell.TCF")
    found = layers.recovered(np.asarray(data) + 1, attributes)
    assert found.file is None
    assert found.volume.source is None
    assert found.volume.quantity == "refractive index"


# The form


def test_every_setting_is_in_the_form_as_the_schema_has_it() -> None:
    known = schema.entries()
    sections = {name: type(getattr(Settings(), name)).model_fields for name in Settings.model_fields}
    all_names = {f"{section}.{key}" for section, keys in sections.items() for key in keys}
    assert set(known) == all_names - set(schema.FROM_LAYER)
    assert known["network.depth"].kind == "whole"
    assert (known["network.depth"].low, known["network.depth"].high) == (0, 6)
    assert known["training.precision"].choices == ("auto", "float32", "bfloat16")
    assert known["prediction.flips"].choices == ("", "True", "False")
    assert known["training.learning_rate"].default == "0.002"
    assert all(entry.description and entry.description in to_ini(Settings()) for entry in known.values())


def test_names_are_those_of_the_open_sets() -> None:
    assert set(schema.NAMED["masking.masking"]) == set(SCHEMES)
    assert set(schema.NAMED["network.network"]) == set(NETWORKS)
    assert set(schema.NAMED["training.objective"]) == {"auto", *OBJECTIVES}
    assert set(compare.PRESETS) - {""} == set(grid.PRESETS)


def test_untouched_form_says_what_is_assumed(screen: object) -> None:
    base = assumed(SHAPE)
    form = Form(base, lambda: None)
    assert form.settings() == base
    assert schema.words(form.settings(), SHAPE) == ()
    form.rebase(assumed(SHAPE[1:]))
    assert form.settings() == assumed(SHAPE[1:])


def another(form: Form, name: str) -> str:
    """A value that the field does not have."""
    entry, now = schema.entries()[name], form.fields[name].get()
    if entry.kind == "switch":
        return str(now != "True")
    if entry.kind in ("choice", "named"):
        return next(choice for choice in reversed(entry.choices) if choice not in (now, ""))
    if entry.kind == "whole":
        return str(int(now) + 1)
    return schema.text(float(now) * 0.5) if entry.kind == "number" else CHANGED[name]


@pytest.mark.parametrize("name", schema.entries())
def test_a_changed_field_arrives_in_settings_and_command(
    name: str, screen: object, files: Path, tmp_path: Path
) -> None:
    heard: list[str] = []
    form = Form(assumed(SHAPE), lambda: heard.append(name))
    value = another(form, name)
    form.fields[name].put(value)
    found = form.settings()
    assert heard
    assert schema.value_of(found, name) == value
    shape = SHAPE[1:] if name == "input.projection" else SHAPE
    form.rebase(assumed(shape))
    found, image = form.settings(), layers.opened(io.read(files / "cell.TCF"), files / "cell.TCF")
    errand = asked.Denoising(image, found, tmp_path)
    assert f"--set {name}={value}" in asked.denoise_command(errand, out=None)
    words = schema.words(found, shape)  # and the command line comes to the very same settings with them
    there = request.Request((files / "cell.TCF",), tmp_path / "out", "", None, words)
    assert request.training(there).settings == found


def test_free_words_and_what_is_wrong_with_them(screen: object) -> None:
    form = Form(assumed(SHAPE), lambda: None)
    form.free.setText("training.steps=9 network.depth=1")
    assert form.settings().training.steps == 9
    assert form.settings().network.depth == 1
    form.free.setText("training.steps=none")
    assert form.check() is None
    assert "[training] steps" in form.problem.text()
    form.free.setText("")
    assert form.check() == assumed(SHAPE)
    assert form.problem.text() == ""


def test_a_masking_setting_asks_for_masked_training(screen: object) -> None:
    form = Form(assumed(SHAPE), lambda: None)
    form.fields["masking.footprint"].put("1")
    assert form.settings().training.objective == "masked"


# The widgets at work


def panel_on_phantom(viewer: ViewerModel, words: str) -> DenoisePanel:
    made = phantom.make(SHAPE, seed=1).noisy
    added(viewer, [layers.image_layer(layers.opened(made), "cell", layers.image_limits(made))])
    panel = DenoisePanel(viewer)
    panel.form.free.setText(f"{WORDS} {words}")
    return panel


def test_denoising_a_layer_without_a_file(viewer: ViewerModel) -> None:
    panel, seen = panel_on_phantom(viewer, "training.steps=3"), []
    viewer.layers.events.inserted.connect(lambda event: seen.append(event.value.name))
    assert panel.work.command.toPlainText().startswith("meeum denoise FILE --set")
    panel.start()
    assert panel.work.stop.isEnabled()
    assert not panel.work.run.isEnabled()
    wait(lambda: not panel.work.busy)
    assert panel.work.state.text() == "Done", told()
    assert "recorrupted" in panel.work.notes.text()
    assert seen[0] == "cell preview"
    assert "cell preview" not in viewer.layers
    clean = viewer.layers["cell denoised"]
    assert clean.scale.tolist() == viewer.layers["cell"].scale.tolist()
    assert clean.contrast_limits == viewer.layers["cell"].contrast_limits
    assert np.isfinite(np.asarray(clean.data)).all()
    assert clean.metadata["verdict"] in ("pass", "warn", "fail", "cannot tell")
    rows = panel.findings.tree.topLevelItemCount()
    assert rows == len(clean.metadata["audit"]["findings"])
    assert panel.findings.tree.topLevelItem(0).text(0)[2:] in ("pass", "warn", "fail", "cannot tell")


def test_stop_keeps_what_is_trained(viewer: ViewerModel, tmp_path: Path) -> None:
    panel = panel_on_phantom(viewer, "training.steps=5000")
    panel.folder.line.setText(str(tmp_path / "run"))
    panel.start()
    wait(lambda: panel.work.state.text().startswith("Training"))
    panel.work.halt()
    wait(lambda: not panel.work.busy)
    assert panel.work.state.text().startswith("stopped after training step")
    steps = api.load(tmp_path / "run").step
    assert 0 < steps < 5000
    assert not panel.onward.isHidden()
    panel.go_on()
    wait(lambda: not panel.work.busy)
    assert panel.work.state.text() == "Done", told()
    assert "cell denoised" in viewer.layers
    assert (tmp_path / "run" / "results" / "0.hdf").is_file()
    assert api.load(tmp_path / "run").step == steps


def test_stop_and_discard_leaves_nothing(viewer: ViewerModel) -> None:
    panel = panel_on_phantom(viewer, "training.steps=5000")
    panel.start()
    wait(lambda: panel.work.state.text().startswith("Training"))
    panel.work.halt()
    wait(lambda: not panel.work.busy)
    passing = panel.begun.errand.folder
    assert passing.is_dir()
    panel.end()
    assert not passing.exists()
    assert [layer.name for layer in viewer.layers] == ["cell"]


def test_a_closed_widget_ends_its_training_unheard(viewer: ViewerModel) -> None:
    panel = panel_on_phantom(viewer, "training.steps=5000")
    panel.start()
    wait(lambda: panel.work.state.text().startswith("Training"))
    work = panel.work
    panel.native.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    wait(lambda: work.stopping)
    wait(lambda: not work.busy)
    viewer.add_image(np.zeros((4, 4)))  # nobody listens who is not there any more
    assert told() == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("training.minutes=-1", "[training] minutes"),
        ("network.network=tower", "known are"),
        ("nonsense", "section.key"),
    ],
)
def test_what_is_wrong_is_said_in_meeums_words(words: str, message: str, viewer: ViewerModel) -> None:
    panel = panel_on_phantom(viewer, words)
    panel.start()
    wait(lambda: not panel.work.busy)
    assert message in told()
    assert [layer.name for layer in viewer.layers] == ["cell"]


def test_an_earlier_run_is_not_replaced_unasked(files: Path, viewer: ViewerModel) -> None:
    before = (files / "cell_meeum" / "audit.json").read_bytes()
    added(viewer, read(files / "cell.TCF"))
    panel = DenoisePanel(viewer)
    assert panel.folder.path == files / "cell_meeum"
    command = panel.work.command.toPlainText()
    assert command == f"meeum denoise {files / 'cell.TCF'} --out {files / 'cell_meeum'}"
    panel.start()
    wait(lambda: not panel.work.busy)
    assert "exists" in told()
    assert (files / "cell_meeum" / "audit.json").read_bytes() == before


def test_no_layer_is_said(viewer: ViewerModel) -> None:
    panel = DenoisePanel(viewer)
    panel.start()
    assert "no image layer" in told()


def test_audit_shows_what_a_run_judged_and_judges_anew(files: Path, viewer: ViewerModel) -> None:
    added(viewer, read(files / "cell_meeum"))
    panel = AuditPanel(viewer)
    assert (panel.noisy.name, panel.denoised.name) == ("cell_meeum noisy", "cell_meeum denoised")
    assert panel.work.command.toPlainText() == f"meeum audit {files / 'cell_meeum' / 'results' / '0.hdf'}"
    kept = json.loads((files / "cell_meeum" / "audit.json").read_text())
    assert panel.findings.tree.topLevelItemCount() == len(kept["findings"])
    panel.findings.tree.clear()
    panel.start()
    wait(lambda: not panel.work.busy)
    assert panel.work.state.text() == "Done", told()
    assert panel.findings.tree.topLevelItemCount() > 10
    panel.noisy.native.setCurrentText("cell_meeum residual")


def test_a_click_on_a_place_goes_there(viewer: ViewerModel) -> None:
    volume = Volume(np.zeros((3, 8, 16, 16), np.float32), "TZYX", (0.4, 0.1, 0.1))
    added(viewer, [layers.image_layer(layers.opened(volume), "film", (0, 1))])
    go_to(viewer, volume, (2, 5, 10, 4))
    assert viewer.dims.current_step[:2] == (2, 5)
    assert getattr(viewer, "scene", viewer).camera.center[-2:] == pytest.approx((1.0, 0.4))


def test_comparing_two_settings(files: Path, tmp_path: Path, viewer: ViewerModel) -> None:
    added(viewer, read(files / "cell.TCF"))
    panel = ComparePanel(viewer)
    panel.preset.setCurrentIndex(panel.preset.findData(""))
    panel.vary.setText("training.objective=recorrupted,neighbours")
    panel.form.free.setText(f"{WORDS} training.steps=2")
    panel.folder.line.setText(str(tmp_path / "compared"))
    command = panel.work.command.toPlainText()
    assert f"--vary training.objective=recorrupted,neighbours --seeds 1 --set {TINY[1]}" in command
    panel.start()
    wait(lambda: not panel.work.busy)
    assert panel.work.state.text() == "Done", told()
    assert panel.table.topLevelItemCount() == 2
    assert panel.sentence.text()
    assert (tmp_path / "compared" / "comparison.html").is_file()
