"""Settings: they survive INI and back, say what they are, and refuse what is no setting with one clear sentence."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from meeum.errors import UsageError
from meeum.ini import read_ini, template, to_ini
from meeum.settings import Settings, assumed, completed, from_values, over_assumed, override

KEYS = [(section, key) for section, part in Settings() for key in type(part).model_fields]

words = st.text(min_size=1)
counts = st.lists(st.integers(0, 99), min_size=1, max_size=3)
sides = st.lists(st.integers(1, 99), min_size=1, max_size=3)
positive = st.floats(1e-300, 1e300)
# Every key with values that are allowed; `test_strategies_cover_every_key` fails when one is missing.
ALLOWED: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "input": {
        "dataset": st.none() | words,
        "channel": st.none() | st.integers(0),
        "projection": st.sampled_from(["none", "max"]),
        "no_data": st.none() | st.floats(),
        "remove_lattice": st.booleans(),
    },
    "masking": {
        "masking": words,
        "mask_std": st.none() | st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=3),
        "mask_size": st.none() | counts,
        "footprint": counts,
        "share": st.none() | st.floats(0, 1, exclude_min=True),
    },
    "network": {"network": words, "width": st.integers(1), "depth": st.integers(0, 6), "top_skip": st.booleans()},
    "training": {
        "objective": words,
        "minutes": positive,
        "steps": st.none() | st.integers(1),
        "patch": st.none() | sides,
        "batch": st.integers(1),
        "learning_rate": positive,
        "averaging": st.floats(0, 1, exclude_min=True),
        "loss": st.sampled_from(["squared", "absolute"]),
        "alpha": positive,
        "turn": st.sampled_from(["ZYX", "YX", "X", "none"]),
        "swap": st.booleans(),
        "held_out": st.floats(0, 0.5, exclude_max=True),
        "precision": st.sampled_from(["auto", "float32", "bfloat16"]),
        "device": words,
        "seed": st.integers(0, 2**63 - 1),
        "memory_gb": positive,
        "checkpoint_minutes": positive,
        "patience": st.none() | st.floats(0, 1, exclude_min=True),
    },
    "prediction": {
        "memory_gb": positive,
        "precision": st.sampled_from(["float32", "bfloat16"]),
        "draws": st.integers(0, 64),
        "flips": st.none() | st.booleans(),
        "displaced": st.none() | st.booleans(),
        "keep_means": st.none() | st.floats(0, 64),
        "band_limit": st.booleans(),
        "masked": st.booleans(),
        "mixing": st.booleans(),
    },
    "output": {
        "formats": st.lists(st.sampled_from(["same", "hdf", "tcf", "tif", "npy", "zarr"]), min_size=1, max_size=5),
        "report_mb": st.floats(2, 1e6),
        "live": st.booleans(),
    },
}
all_settings = st.fixed_dictionaries({name: st.fixed_dictionaries(keys) for name, keys in ALLOWED.items()})


@pytest.fixture(scope="module")
def ini(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("settings") / "run.ini"


def dumped(settings: Settings) -> str:
    return repr(settings.model_dump())  # as text, so that nan equals nan


def refusal(text: str | bytes, path: Path) -> str:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(UsageError) as caught:
        read_ini(path)
    return str(caught.value)


def test_strategies_cover_every_key() -> None:
    assert {(section, key) for section, keys in ALLOWED.items() for key in keys} == set(KEYS)


@given(values=all_settings)
@limits(deadline=None, max_examples=150)
def test_every_key_survives_ini_and_back(values: dict[str, dict[str, Any]], ini: Path) -> None:
    settings = Settings.model_validate(values)
    ini.write_text(to_ini(settings), encoding="utf-8")
    assert dumped(read_ini(ini)) == dumped(settings)


@pytest.mark.parametrize(
    "name", ["a #1", "#1", "a;b ;c", " led ", '"quoted"', 'half"', "two\nlines", "%(x)s", "[masking]", "a = b", "\\x"]
)
def test_awkward_dataset_names_survive(name: str, ini: Path) -> None:
    settings = Settings().changed("input", dataset=name)
    ini.write_text(to_ini(settings), encoding="utf-8")
    assert read_ini(ini).input.dataset == name


@pytest.mark.parametrize("text", [to_ini(Settings()), template()])
def test_ini_has_a_comment_before_every_key(text: str) -> None:
    lines = text.splitlines()
    for _, key in KEYS:
        places = [i for i, line in enumerate(lines) if re.match(rf"{key} =", line)]
        assert places
        assert all(re.match(r"# \w.{8,}", lines[place - 1]) for place in places), key


def test_values_are_read(ini: Path) -> None:
    ini.write_text(
        "[masking]\nmasking = gps ; lower case\nMASK_STD: 5\nmask_size = 3, 5,7  # per axis\nfootprint = 0,\n 1, 1\n"
        "[network]\ntop_skip = yes\n[training]\nminutes = 1e1\nsteps =\n[input]\nno_data = nan\n",
        encoding="utf-8",
    )
    settings = read_ini(ini)
    assert settings.masking.masking == "gps"
    assert settings.masking.mask_std == (5.0,)
    assert settings.masking.mask_size == (3, 5, 7)
    assert settings.masking.footprint == (0, 1, 1)
    assert settings.network.top_skip is True
    assert settings.training.minutes == 10
    assert settings.training.steps is None
    assert settings.input.no_data is not None
    assert math.isnan(settings.input.no_data)


def test_notepad_files_are_read(ini: Path) -> None:
    ini.write_bytes(b"\xef\xbb\xbf[masking]\r\nmasking = GF\r\nmask_size = 5\r\n")
    assert (read_ini(ini).masking.masking, read_ini(ini).masking.mask_size) == ("GF", (5,))


def test_empty_means_not_given(ini: Path) -> None:
    empty = "\n".join(f"{key} =" if key else f"[{name}]" for name, part in Settings() for key in ["", *dict(part)])
    ini.write_text(empty, encoding="utf-8")
    assert read_ini(ini) == Settings()


def test_unedited_template_states_nothing(ini: Path) -> None:
    ini.write_text(template(), encoding="utf-8")
    stated = read_ini(ini)
    assert {key for _, part in stated for key in part.model_fields_set} == set()
    assert over_assumed(stated, (12, 48, 48)) == assumed((12, 48, 48))


def test_template_says_what_an_empty_key_stands_for() -> None:
    comments = dict(zip(template().splitlines()[1:], template().splitlines(), strict=False))
    assert comments["minutes ="].endswith("; empty = 5.0")
    assert "; empty = auto" in comments["objective ="]
    assert comments["width ="].count("empty =") == 1


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("[training]\nminutes = 1\n", ("training", {"minutes": 1.0})),
        ("[training]\nobjective = recorrupted\n", ("training", {"objective": "recorrupted"})),
        ("[masking]\nmasking =\n[network]\nwidth = 4\n", ("network", {"width": 4})),
    ],
)
def test_an_ini_changes_what_it_names_and_nothing_else(text: str, changed: tuple[str, Any], ini: Path) -> None:
    ini.write_text(text, encoding="utf-8")
    section, values = changed
    assert over_assumed(read_ini(ini), (12, 48, 48)) == assumed((12, 48, 48)).changed(section, **values)


@pytest.mark.parametrize(
    "text",
    ["[masking]\nmasking = GPS\nmask_std = 5\n", "[masking]\nmask_size = 5\n", "[training]\nobjective = masked\n"],
)
def test_an_ini_on_masking_assumes_nothing_else(text: str, ini: Path) -> None:
    ini.write_text(text, encoding="utf-8")
    settings = over_assumed(read_ini(ini), (12, 48, 48))
    assert settings == read_ini(ini)
    assert settings.training.objective == "masked"
    assert settings.masking.footprint == (0,)


def test_effective_settings_stay_as_they_are(ini: Path) -> None:
    effective = assumed((12, 48, 48)).changed("training", objective="recorrupted", steps=7)
    ini.write_text(to_ini(effective), encoding="utf-8")
    assert over_assumed(read_ini(ini), (64, 64)) == effective


def test_set_overrides_and_clears(ini: Path) -> None:
    ini.write_text("[masking]\nmasking = G\nmask_std = 1\n[training]\nsteps = 7\n", encoding="utf-8")
    settings = override(read_ini(ini), ["masking.mask_std=0.03", " training.steps = ", "masking.Mask_Size=3,5,5"])
    assert settings.masking.mask_std == (0.03,)
    assert settings.masking.mask_size == (3, 5, 5)
    assert settings.masking.masking == "G"
    assert settings.training.steps is None
    assert override(Settings(), ["training.steps=1", "training.steps=2"]).training.steps == 2


@pytest.mark.parametrize("word", ["masking.mask_std", "mask_std=1", "=", "", "masking=3"])
def test_set_says_what_it_expects(word: str) -> None:
    with pytest.raises(UsageError, match=r"expected section\.key=value, for example masking\.mask_std"):
        override(Settings(), [word])


def test_unknown_names_list_the_known_ones(ini: Path) -> None:
    message = refusal("[maskin]\nmasking = G\n", ini)
    assert message == (
        "run.ini [maskin]: unknown section; known are input, masking, network, training, prediction, output; "
        "did you mean masking?"
    )
    message = refusal("[masking]\nmask_sise = 5\n", ini)
    assert message == (
        "run.ini [masking] mask_sise: unknown key; known are masking, mask_std, mask_size, footprint, share; "
        "did you mean mask_size?"
    )
    with pytest.raises(UsageError, match=r"command line \[masking\] std: unknown key; known are masking, mask_std"):
        override(Settings(), ["masking.std=3"])


def test_default_section_is_no_back_door(ini: Path) -> None:
    assert "[DEFAULT]: unknown section" in refusal("[DEFAULT]\nseed = 3\n", ini)


WRONG = [
    ("masking.mask_size", "5.5"),
    ("masking.mask_size", "3;5"),
    ("masking.mask_std", "small"),
    ("masking.mask_std", "nan"),
    ("masking.footprint", "-1"),
    ("masking.footprint", "1,,1"),
    ("masking.share", "0"),
    ("masking.share", "1.5"),
    ("network.width", "0"),
    ("network.depth", "7"),
    ("network.top_skip", "maybe"),
    ("training.minutes", "inf"),
    ("training.minutes", "0"),
    ("training.steps", "0"),
    ("training.patch", "0, 16, 16"),
    ("training.batch", "8 patches"),
    ("training.learning_rate", "nan"),
    ("training.turn", "XYT"),
    ("training.held_out", "0.5"),
    ("training.precision", "half"),
    ("training.seed", "-1"),
    ("training.seed", str(2**63)),
    ("training.memory_gb", "inf"),
    ("prediction.memory_gb", "-1"),
    ("input.projection", "min"),
    ("input.channel", "-1"),
    ("input.no_data", "none"),
    ("output.formats", "same, jpg"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_wrong_values_name_key_value_and_meaning(name: str, value: str, ini: Path) -> None:
    section, key = name.split(".")
    message = refusal(f"[{section}]\n{key} = {value}\n", ini)
    described = type(getattr(Settings(), section)).model_fields[key].description
    assert message.startswith(f"run.ini [{section}] {key}: ")
    assert described
    assert described in message
    parts = [part.strip() for part in value.split(",")]
    assert any(f"given '{part}'" in message for part in [*parts, value]), message
    assert "\n" not in message
    with pytest.raises(UsageError, match=rf"^command line \[{section}\] {key}: "):
        override(Settings(), [f"{name}={value}"])


def test_unknown_choice_lists_the_known_ones(ini: Path) -> None:
    message = refusal("[output]\nformats = jpg\n", ini)
    assert "'same', 'hdf', 'tcf', 'tif', 'npy' or 'zarr'" in message
    assert message.count("[output] formats") == 1


def test_several_wrong_values_stand_in_one_line(ini: Path) -> None:
    message = refusal("[training]\nsteps = x\nbatch = y\n", ini)
    assert "\n" not in message
    assert "[training] steps" in message
    assert "[training] batch" in message


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"masking = UPS\n", "no section headers"),
        (b"[masking\nmasking = UPS\n", "no section headers"),
        (b"[masking]\nmasking\n", "parsing errors"),
        (b"[masking]\nmask_size = 5\nmask_size = 7\n", "already exists"),
        (b"[masking]\n[masking]\n", "already exists"),
        (b"\x89HDF\r\n\x1a\n\x00\xff", "decode"),
        ("[masking]\nmasking = UPS\n".encode("utf-16"), "decode"),
        (b"\x00" * 50, "no section headers"),
    ],
)
def test_what_is_no_ini_is_refused_in_one_line(content: bytes, expected: str, ini: Path) -> None:
    message = refusal(content, ini)
    assert message.startswith(f"{ini}: not a readable INI file")
    assert expected in message
    assert "\n" not in message


def test_missing_folder_and_unreadable_ini(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"nothere\.ini: there is no such file; `meeum config --init"):
        read_ini(tmp_path / "nothere.ini")
    with pytest.raises(UsageError, match=r"cannot be read: Is a directory"):
        read_ini(tmp_path)
    monkeypatch.setattr(Path, "open", lambda *_, **__: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    with pytest.raises(UsageError, match=r"cannot be read: Permission denied"):
        read_ini(tmp_path / "secret.ini")


FRAGMENTS = ["[masking]", "[training]", "[DEFAULT]", "[", "]", "mask_size", "masking", "steps", "=", ":", ",", "#", ";"]
fragments = st.sampled_from(
    [*FRAGMENTS, '"', "5", "-1", "nan", "1e999", "%(a)s", "\n", "\r", "\n ", "\t", "\x00", "\ufeff"]
)


@given(text=st.text() | st.lists(fragments).map("".join) | st.lists(fragments | st.text()).map("".join))
@example(text=" \n[masking]\n mask_size\n")
@limits(deadline=None, max_examples=400)
def test_any_text_gives_settings_or_a_usage_error(text: str, ini: Path) -> None:
    ini.write_text(text, encoding="utf-8", errors="surrogatepass", newline="")
    try:
        settings = read_ini(ini)
    except UsageError as error:
        assert "run.ini" in str(error)
    else:
        assert isinstance(settings, Settings)


@given(content=st.binary())
@limits(deadline=None, max_examples=100)
def test_any_bytes_give_settings_or_a_usage_error(content: bytes, ini: Path) -> None:
    ini.write_bytes(content)
    try:
        read_ini(ini)
    except UsageError as error:
        assert str(ini) in str(error) or "run.ini" in str(error)


def test_settings_cannot_be_changed_in_place() -> None:
    settings = Settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.training.steps = 3  # type: ignore[misc]
    assert settings.changed("training", steps=3).training.steps == 3
    assert settings.training.steps is None


def test_plain_values_of_a_checkpoint_are_read() -> None:
    settings = assumed((12, 48, 48)).changed("training", patch=(8, 16, 16))
    assert from_values(settings.model_dump(mode="json"), where="model") == settings


@pytest.mark.parametrize(
    ("shape", "window", "footprint"),
    [
        ((12, 48, 48), (7, 7, 7), (2, 2, 2)),
        ((1, 48, 48), (1, 7, 7), (0, 2, 2)),
        ((2, 48, 48), (1, 7, 7), (1, 2, 2)),
        ((5, 48, 48), (5, 7, 7), (2, 2, 2)),
        ((64, 64), (5, 5), (0, 0)),
        ((3, 64), (3, 5), (0, 0)),
    ],
)
def test_assumed_masking_fits_the_image(shape: tuple[int, ...], window: tuple[int, ...], footprint: tuple[int]) -> None:
    masking = assumed(shape).masking
    assert (masking.masking, masking.mask_size, masking.footprint) == ("mean", window, footprint)


@pytest.mark.parametrize(
    ("shape", "window", "footprint"),
    [
        ((74, 200, 200), (7, 7, 7), (2, 2, 2)),
        ((5, 64, 64), (5, 7, 7), (2, 2, 2)),
        ((1, 64, 64), (1, 7, 7), (0, 2, 2)),
        ((5, 5, 5), (5, 5, 5), (0, 0, 0)),
        ((64, 64), (5, 5), (0, 0)),
        ((3, 64), (3, 5), (0, 0)),
    ],
)
def test_what_is_assumed_fits_the_image(shape, window, footprint) -> None:
    masking = assumed(shape).masking
    assert (masking.masking, masking.mask_size, masking.footprint) == ("mean", window, footprint)


@pytest.mark.parametrize(("axes", "width", "batch"), [(2, 16, 8), (3, 8, 2)])
def test_only_empty_settings_are_completed(axes, width, batch) -> None:
    chosen = completed(Settings(), axes)
    assert (chosen.network.width, chosen.training.batch, len(chosen.training.patch)) == (width, batch, axes)
    stated = Settings().changed("network", width=5).changed("training", batch=3, patch=(16,))
    assert completed(stated, axes) == stated
