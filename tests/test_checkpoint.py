"""Models on disk: the same to the last bit when read back, whole or not there, and never a pickle."""

import json
import math
import pickle
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import meeum
from meeum import api, checkpoint
from meeum.checkpoint import FORMAT, MODEL_FILE, Model, load, save, weights_equal
from meeum.errors import MeeumError, UsageError
from meeum.networks import Shape, build
from meeum.patches import Normalisation
from meeum.settings import assumed
from meeum.volume import Volume

MEASURED = "refractive index"


@pytest.fixture
def model() -> Model:
    """Two channels, one level, an odd normalisation, a history and a training state."""
    settings = assumed((12, 32, 32)).changed("network", width=2).changed("input", no_data=math.nan)
    shape = Shape(2, ((1, 2, 2),), 3)
    return Model(
        network=build("unet", shape, seed=3),
        settings=settings,
        shape=shape,
        normalisation=Normalisation(1.337 + 1e-17, 0.1 / 3),
        axes="ZYX",
        step=7,
        images=((12, 32, 32), (2, 12, 40, 32)),
        quantity=MEASURED,
        history=({"step": 7, "loss": 0.1 + 0.2, "validation": math.nan},),
        state={"last/x": torch.randn(3), "adam/0/step": torch.tensor(7.0), "half": torch.ones(2, dtype=torch.bfloat16)},
    )


@pytest.fixture
def saved(model: Model, tmp_path: Path) -> Path:
    return save(model, tmp_path / "model" / MODEL_FILE)


def refusal(path: Path) -> str:
    with pytest.raises(MeeumError) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)
    return str(caught.value)


def rewritten(path: Path, change: Callable[[dict[str, Any], dict[str, torch.Tensor]], None]) -> Path:
    """The same file with its plain values and tensors changed."""
    with checkpoint.safe_open(path, framework="pt") as opened:
        plain = json.loads(opened.metadata()["meeum"])
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    change(plain, tensors)
    save_file(tensors, path, metadata={"format": FORMAT, "meeum": json.dumps(plain)})
    return path


def test_round_trip_is_exact(model: Model, saved: Path) -> None:
    again = load(saved)
    assert weights_equal(again, model)
    assert again.network.state_dict().keys() == model.network.state_dict().keys()
    assert repr(again.settings) == repr(model.settings)  # as text, so that nan equals nan
    assert (again.shape, again.normalisation) == (model.shape, model.normalisation)
    assert (again.axes, again.step, again.version) == ("ZYX", 7, meeum.__version__)
    assert repr(again.history) == repr(model.history)
    assert (again.images, again.quantity) == (model.images, MEASURED)
    assert again.state.keys() == model.state.keys()
    for name, value in model.state.items():
        assert again.state[name].dtype == value.dtype
        assert torch.equal(again.state[name], value)
    assert (again.stride, again.reach) == (model.stride, model.reach)


def test_read_model_computes_the_same(model: Model, saved: Path) -> None:
    image = torch.randn(1, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(load(saved).network(image), model.network(image))


def test_folder_and_file_name_the_same_model(model: Model, saved: Path) -> None:
    assert weights_equal(load(saved.parent), load(saved))
    assert weights_equal(api.load(str(saved.parent)), model)


@pytest.mark.parametrize("name", ["model", "model/", "2024.01.31_meeum", "deep/er"])
def test_api_saves_into_folders_even_with_dots(name: str, model: Model, tmp_path: Path) -> None:
    assert api.save(model, f"{tmp_path}/{name}") == tmp_path / name / MODEL_FILE
    assert weights_equal(api.load(tmp_path / name), model)
    assert api.load(tmp_path / name).state == {}


def test_api_saves_under_a_file_name(model: Model, tmp_path: Path) -> None:
    assert api.save(model, tmp_path / "mine.safetensors") == tmp_path / "mine.safetensors"
    assert weights_equal(api.load(tmp_path / "mine.safetensors"), model)


def test_weights_equal_sees_one_bit(model: Model, saved: Path) -> None:
    other = load(saved)
    weight = next(iter(other.network.parameters()))
    with torch.no_grad():
        weight.view(-1)[0] = torch.nextafter(weight.view(-1)[0], torch.tensor(9.0))
    assert not weights_equal(other, model)


def test_old_file_stays_when_a_new_one_cannot_be_written(
    model: Model, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved.read_bytes()

    def full(tensors: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(MeeumError, match=rf"{MODEL_FILE}: the model could not be written.*No space left"):
        save(replace(model, step=8), saved)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [MODEL_FILE]


@pytest.mark.parametrize("kept", [0, 3, 8, 100, 0.5, -1])
def test_truncated_file(kept: float, saved: Path) -> None:
    whole = saved.read_bytes()
    saved.write_bytes(whole[: int(kept * len(whole)) if 0 < kept < 1 else int(kept)])
    assert "not a readable model, it may be damaged or cut short" in refusal(saved)


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.mark,))


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    mark, path = tmp_path / "executed", tmp_path / MODEL_FILE
    path.write_bytes(pickle.dumps(Trap(mark)))
    assert "not a readable model" in refusal(path)
    torch.save({"trap": Trap(mark)}, path)
    assert "not a readable model" in refusal(path)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Trap(mark)))
    assert mark.exists()  # the trap works


def test_no_room_loads_pickles() -> None:
    words = re.compile(r"\b(pickle|torch\.load|torch\.save|joblib|dill|marshal|shelve|allow_pickle=True|eval\(|exec\()")
    sources = sorted(Path(meeum.__file__).parent.rglob("*.py"))
    assert len(sources) > 30
    lines = [
        f"{path.name}:{number}: {line.strip()}"
        for path in sources
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if words.search(re.sub(r'#.*|""".*', "", line)) and "pickled" not in line
    ]
    assert lines == []


def test_other_safetensors_files(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.ones(2)}, path)
    assert refusal(path) == f"{path}: its format is None; this meeum reads 'meeum model 1'"
    save_file({"weight": torch.ones(2)}, path, metadata={"format": "meeum model 9"})
    assert "its format is 'meeum model 9'; this meeum reads 'meeum model 1'" in refusal(path)
    save_file({"weight": torch.ones(2)}, path, metadata={"format": FORMAT})
    assert "do not fit together" in refusal(path)
    save_file({"weight": torch.ones(2)}, path, metadata={"format": FORMAT, "meeum": "{"})
    assert "do not fit together" in refusal(path)


def _without_settings(plain: dict[str, Any], _: dict[str, torch.Tensor]) -> None:
    del plain["settings"]


def _later_key(plain: dict[str, Any], _: dict[str, torch.Tensor]) -> None:
    plain["settings"]["training"]["later_key"] = 1


def _other_width(plain: dict[str, Any], _: dict[str, torch.Tensor]) -> None:
    plain["shape"]["width"] = 4


def _missing_weight(_: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    tensors.pop(next(name for name in tensors if name.startswith("network/")))


def _unknown_network(plain: dict[str, Any], _: dict[str, torch.Tensor]) -> None:
    plain["settings"]["network"]["network"] = "transformer"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_without_settings, "settings"),
        (_later_key, "later_key: unknown key"),
        (_other_width, "size mismatch"),
        (_missing_weight, "Missing key"),
        (_unknown_network, "made with network 'transformer', which this meeum does not have"),
    ],
)
def test_parts_that_do_not_fit(change: Callable[..., None], expected: str, saved: Path) -> None:
    assert expected in refusal(rewritten(saved, change))


def test_rewritten_alone_changes_nothing(model: Model, saved: Path) -> None:
    assert weights_equal(load(rewritten(saved, lambda plain, tensors: None)), model)


def test_models_of_before_lack_facts_about_their_images(saved: Path) -> None:
    def earlier(plain: dict[str, Any], _: dict[str, torch.Tensor]) -> None:
        del plain["images"], plain["quantity"]

    again = load(rewritten(saved, earlier))
    assert (again.images, again.quantity) == ((), "")


def test_a_model_of_one_quantity_is_not_applied_to_another(model: Model) -> None:
    """Unless the file merely does not say what it holds: then its values are like those of the training."""
    rng = np.random.default_rng(0)
    index = Volume(rng.normal(1.34, 0.01, (4, 8, 8)).astype(np.float32), "ZYX", quantity=MEASURED)
    trained = replace(model, normalisation=Normalisation(1.34, 0.01))
    unsaid, counts = replace(index, quantity="intensity"), index.with_data(rng.poisson(9, index.shape))
    counts = replace(counts, quantity="intensity")
    for use in (api.denoise, api.denoiser):
        for taken in (index, unsaid):
            use(taken, trained)
        use(counts, replace(trained, quantity=""))  # of before quantities were kept
        with pytest.raises(UsageError, match=f"values are intensity around 8.*, but .* {MEASURED} around 1.34"):
            use(counts, trained)


def test_nothing_there(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothere", tmp_path / "nothere.safetensors"):
        with pytest.raises(UsageError, match=r"there is no model here .*`meeum train FILE --out DIR` makes one"):
            load(path)
    (tmp_path / MODEL_FILE).mkdir()
    with pytest.raises(MeeumError, match=MODEL_FILE):
        load(tmp_path)
