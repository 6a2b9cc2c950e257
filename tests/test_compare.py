"""A comparison: its grid, runs that are done once and gone on with, scores, ranking, table, files and page."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
import torch
from command import call
from rich.console import Console

from meeum import Volume, api, checkpoint, phantom, scoreboard
from meeum.auditing import Losses, cell_losses, gather, psnr, unbiased_risk
from meeum.auditing import judge as ask_all
from meeum.auditing.judge import MEASURES
from meeum.comparing import choosing, columns, comparison, conclusion, grid, ranking, scores, workers
from meeum.comparing.columns import COLUMNS
from meeum.comparing.comparison import Plan, Step
from meeum.comparing.grid import Scene, expand
from meeum.comparing.ranking import Contestant, rank
from meeum.comparing.scores import Run
from meeum.errors import MeeumError, UsageError
from meeum.noise import measure
from meeum.patches import Normalisation
from meeum.patches import measure as measure_values
from meeum.settings import Settings, assumed, override

SHAPE = (32, 32)
TINY = (
    "network.width=4",
    "training.steps=4",
    "training.batch=1",
    "training.patch=16",
    "training.precision=float32",
    "training.device=cpu",
)
ALL_MEASURES = dict(MEASURES)
FILES = ("comparison.json", "comparison.csv", "comparison.html")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """noisy.npy and truth.npy: a smooth field with white noise, (Y, X)."""
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("image")
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    truth = 100 + 20 * np.sin(y / 5) * np.cos(x / 6)
    np.save(place / "truth.npy", truth.astype(np.float32))
    noisy = truth + np.random.default_rng(0).normal(0, 4, SHAPE)
    np.save(place / "noisy.npy", noisy.astype(np.float32))
    return place / "noisy.npy"


def scene(shape: tuple[int, ...] = (32, 64, 64), *, std: float = 0.03) -> Scene:
    values = np.random.default_rng(1).normal(0, std, shape).astype(np.float32)
    volume = Volume(values, "ZYX"[-len(shape) :])
    return Scene("made.npy", shape, Normalisation(0.0, std), measure(volume))


def base(shape: tuple[int, ...] = (32, 64, 64)) -> Settings:
    return assumed(shape)


def plan(image: Path, target: Path, *, seeds: int = 1, varied: Sequence[str] = (), **more: Any) -> Plan:
    volume = api.read(image)
    made = Scene(volume.name, volume.spatial_shape, measure_values([volume]), measure(volume))
    words = varied or ("training.objective=masked,recorrupted",)
    chosen = expand(override(assumed(SHAPE), TINY), made, varied=words)
    return Plan(image, target, chosen, seeds, made.noise, "meeum compare noisy.npy", **more)


def stepped(asked: Plan) -> list[Step]:
    return list(comparison.start(asked))


# The grid


def test_the_note_preset_is_the_notes_grid() -> None:
    found = {one.name: one.settings for one in expand(base(), scene(std=0.07), preset="note")}
    rows = [
        (s.masking.masking, s.masking.mask_size, s.masking.mask_std, s.masking.footprint, s.training.objective)
        for s in found.values()
    ]
    assert {(scheme, size) for scheme, size, std, *_ in rows if scheme in ("UPS", "GF") and std is None} == {
        (scheme, (side,) * 3) for scheme in ("UPS", "GF") for side in (3, 5, 11)
    }
    assert [std for scheme, _, std, *_ in rows if scheme == "G"] == [(0.035,), (0.07,), (0.14,)]
    assert [std for scheme, _, std, *_ in rows if scheme == "GPS"] == [(2.0,), (5.0,), (10.0,)]
    assert len(rows) == 12
    assert {(footprint, objective) for *_, footprint, objective in rows} == {((0,), "masked")}


def test_windows_of_the_note_fit_a_thin_volume() -> None:
    found = {
        one.name: one.settings.masking.mask_size for one in expand(base((8, 64, 64)), scene((8, 64, 64)), preset="note")
    }
    assert found["UPS-11"] == (7, 11, 11)
    assert found["GF-3"] == (3, 3, 3)


def test_objectives_offer_auto_first_and_neighbours_for_white_noise_alone() -> None:
    white = scene((64, 64))
    assert white.noise.is_white
    names = [one.name for one in expand(base((64, 64)), white, preset="objectives")]
    assert names == [
        "auto", "auto-unet", "neighbours", "mean-footprint0", "mean-footprint1", "mean-footprint2", "UPS-footprint1",
    ]  # fmt: skip
    made = phantom.make((24, 48, 48), settings=phantom.PhantomSettings(noise_std=4e-3)).noisy
    coloured = Scene("x", made.shape, measure_values([made]), measure(made))
    assert not coloured.noise.is_white
    assert "neighbours" not in [one.name for one in expand(base(made.shape), coloured, preset="objectives")]


def test_varied_words_give_every_combination_under_names_of_their_own() -> None:
    words = ("masking.masking=G,UPS", "masking.mask_std=0.5std,0.02", "masking.footprint=0;1,1,0")
    found = expand(override(base(), ["training.objective=masked"]), scene(), varied=words)
    assert len(found) == 8
    assert len({one.name for one in found}) == 8
    assert found[0].name == "masking=G-mask_std=0.5std-footprint=0"
    assert found[0].settings.masking.mask_std == (0.015,)
    assert found[3].settings.masking.footprint == (1, 1, 0)
    assert {one.settings.masking.masking for one in found} == {"G", "UPS"}


def test_a_preset_and_varied_words_multiply() -> None:
    found = expand(base(), scene(), preset="note", varied=["training.loss=squared,absolute"])
    assert len(found) == 24
    assert found[1].name == "UPS-3-loss=absolute"
    assert found[1].settings.training.loss == "absolute"


@pytest.mark.parametrize(
    ("varied", "given", "preset", "expected"),
    [
        (["masking.mask_size"], (), None, "expected section.key=a,b,c"),
        (["mask_size=3,5"], (), None, "expected section.key=a,b,c"),
        (["masking.mask_size=3,3"], (), None, "expected different values"),
        (["masking.mask_size=3,,5"], (), None, "expected different values"),
        (["training.seed=1,2"], (), None, "use --seeds"),
        (["input.projection=none,max"], (), None, "compared on one image"),
        (["masking.mask_size=1std,3"], (), None, "only masking.mask_std"),
        (["masking.footprint=0,1", "masking.footprint=2,3"], (), None, "given twice"),
        (["masking.footprint=0,1"], ("masking.footprint=2",), None, "cannot be given for all"),
        ([], ("training.objective=sure",), "note", "training.objective is among what is compared"),
        ([], (), "all", "--preset all: known are objectives, note"),
        (["training.objective=masked,n2n"], (), None, "unknown objective 'n2n'"),
        (["network.network=unet,vit"], (), None, "unknown network 'vit'"),
        (["masking.mask_size=4,5"], (), None, "4 is not odd"),
        (["training.stepz=4,5"], (), None, "unknown key"),
        (["masking.masking=mean,Mean"], (), None, "two settings would be called"),
        (["masking.footprint=0,00"], (), None, "are the same settings"),
    ],
)
def test_bad_grids_are_refused(varied: list[str], given: tuple[str, ...], preset: str | None, expected: str) -> None:
    settings = override(base(), ["training.objective=masked", *given])
    with pytest.raises(UsageError, match=re.escape(expected)):
        expand(settings, scene(), preset=preset, varied=varied, given=given)


# Runs


@pytest.fixture(autouse=True, scope="module")
def short_audits() -> Iterator[None]:
    """Audits of two measures: what the others find is tested elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        room = import_module("meeum.auditing.judge")  # the package has a function of that name
        patch.setattr(room, "MEASURES", {name: MEASURES[name] for name in ("values", "leftover")})
        yield


@pytest.fixture(scope="module")
def compared(image: Path) -> tuple[Path, conclusion.Result]:
    """Two objectives, two seeds, with the truth."""
    target = image.parent / "compared"
    last = stepped(plan(image, target, seeds=2, truth=image.with_name("truth.npy")))[-1]
    assert last.result is not None
    return target, last.result


def test_every_run_is_an_ordinary_run_folder(compared: tuple[Path, conclusion.Result]) -> None:
    target, result = compared
    folders = sorted(path.name for path in target.iterdir() if path.is_dir())
    assert folders == [f"objective={name}-seed{seed}" for name in ("masked", "recorrupted") for seed in (0, 1)]
    for path in target.glob("*-seed*"):
        assert {"report.html", "audit.json", "settings.ini", "model.safetensors"} <= {
            one.name for one in path.iterdir()
        }
        assert api.load(path).settings.training.seed == int(path.name[-1])
    assert {one.name for one in result.standings} == {"objective=masked", "objective=recorrupted"}


def test_nothing_is_run_twice(compared: tuple[Path, conclusion.Result], image: Path) -> None:
    target, result = compared
    before = {path: path.stat().st_mtime_ns for path in target.rglob("*") if path.name not in (*FILES, "grid.json")}
    before = {path: time for path, time in before.items() if path.is_file()}
    steps = stepped(plan(image, target, seeds=2, truth=image.with_name("truth.npy")))
    assert [step.event.stage for step in steps] == ["report", "done"]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert steps[-1].result is not None
    assert steps[-1].result.as_dict() == result.as_dict()


def test_another_grid_is_refused_unless_it_may_replace(compared: tuple[Path, conclusion.Result], image: Path) -> None:
    target, _ = compared
    with pytest.raises(UsageError, match=r"holds another comparison.*--overwrite"):
        next(iter(comparison.start(plan(image, target, seeds=1))))
    with pytest.raises(UsageError, match="holds no comparison"):
        comparison.check(plan(image, image.parent))
    comparison.check(plan(image, target, seeds=1, overwrite=True))


def test_a_stopped_comparison_goes_on_to_the_same_weights(
    image: Path, tmp_path: Path, compared: tuple[Path, Any]
) -> None:
    asked = iter(range(7))  # four steps of the first run, its image, then in the second training
    stopped = stepped(plan(image, tmp_path / "again", seeds=2, stop=lambda: next(asked, None) is None))
    assert stopped[-1].event.stage == "stopped"
    assert stopped[-1].result is None
    assert not (tmp_path / "again" / "comparison.json").exists()
    assert stepped(plan(image, tmp_path / "again", seeds=2))[-1].result is not None
    for path in compared[0].glob("*-seed*"):
        assert checkpoint.weights_equal(api.load(path), api.load(tmp_path / "again" / path.name))
        one, other = (
            json.loads((where / "score.json").read_text()) for where in (path, tmp_path / "again" / path.name)
        )
        assert one == other


def test_overwrite_begins_anew(image: Path, tmp_path: Path) -> None:
    one = plan(image, tmp_path / "c", varied=["training.objective=masked"])
    stepped(one)
    first = (tmp_path / "c" / "objective=masked-seed0" / "log.txt").stat().st_mtime_ns
    stages = [step.event.stage for step in stepped(replace(one, overwrite=True))]
    assert "train" in stages
    assert (tmp_path / "c" / "objective=masked-seed0" / "log.txt").stat().st_mtime_ns > first


def test_a_run_that_fails_is_a_row_not_the_end(image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = workers.run.start

    def failing(job: Any) -> Any:
        if job.settings.training.objective == "recorrupted":
            raise MeeumError("diverged")
        return start(job)

    monkeypatch.setattr(workers.run, "start", failing)
    result = stepped(plan(image, tmp_path / "c"))[-1].result
    assert result is not None
    assert result.named("objective=recorrupted").problem == "diverged"
    assert result.ranking is not None
    assert result.ranking.chosen == "objective=masked"
    assert "objective=recorrupted did not run: diverged" in result.cautions


def test_side_by_side_equals_one_by_one(image: Path, tmp_path: Path, compared: tuple[Path, Any]) -> None:
    steps = stepped(plan(image, tmp_path / "two", jobs=2))
    assert steps[-1].result is not None
    assert [step.event.stage for step in steps].count("scored") == 2
    for name in ("objective=masked-seed0", "objective=recorrupted-seed0"):
        one, other = (api.load(where / name) for where in (compared[0], tmp_path / "two"))
        for key, value in one.network.state_dict().items():
            assert torch.allclose(value, other.network.state_dict()[key], atol=1e-4)  # other numbers of threads


def test_where_noise_is_not_gaussian_auto_is_taken_whatever_the_errors_say(image: Path) -> None:
    noisy = api.read(image)
    few = replace(measure(noisy), follows="signal", gain=1.0, std=1.0, spectrum=np.ones_like(measure(noisy).spectrum))
    runs = [
        Run(name, 0, Path(name), np.full(9, mse) + np.arange(9) / 1e3, noise_mse=1.0, audit={"findings": []})
        for name, mse in (("auto", 0.6), ("neighbours", 0.2))
    ]
    found = conclusion.conclude(noisy, few, runs)
    assert found.ranking is not None and found.ranking.chosen == "auto" and "few photons" in found.sentence
    assert conclusion.conclude(noisy, replace(few, std=9.0), runs).ranking.chosen == "neighbours"  # type: ignore[union-attr]


# Scores


def test_risk_is_the_mean_of_the_losses_and_pairs_runs(image: Path) -> None:
    noisy = api.read(image)
    noise = measure(noisy)
    losses = [cell_losses(noisy, lambda v, f=f: f * v, noise, seed=3) for f in (1.0, 0.9)]
    risk = unbiased_risk(noisy, lambda v: v, noise, seed=3)
    assert losses[0].mse == risk.mse
    assert losses[0].standard_error == risk.standard_error
    assert losses[0].cells.shape == losses[1].cells.shape == (4,)
    again = cell_losses(noisy, lambda v: v, noise, seed=3)
    assert (again.cells == losses[0].cells).all()


def test_truth_scores_equal_an_independent_computation(compared: tuple[Path, conclusion.Result], image: Path) -> None:
    _, result = compared
    truth = np.load(image.with_name("truth.npy")).astype(float)
    for one in result.standings:
        expected = []
        for run in one.runs:
            values = scores.denoised(run.folder).read().astype(float)
            expected.append(10 * np.log10(np.ptp(truth) ** 2 / np.mean((values - truth) ** 2)))
            assert run.ssim == pytest.approx(slow_ssim(truth, values), abs=1e-5)
        assert one.psnr == pytest.approx(np.mean(expected), abs=1e-4)
    assert result.noisy_psnr == pytest.approx(psnr(api.read(image.with_name("truth.npy")), api.read(image)))


def slow_ssim(truth: np.ndarray, image: np.ndarray) -> float:
    """Wang 2004, window by window."""
    offsets = np.arange(-5, 6)
    weights = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    weights /= weights.sum()
    c1, c2 = ((k * np.ptp(truth)) ** 2 for k in (0.01, 0.03))
    found = []
    for y in range(5, truth.shape[0] - 5):
        for x in range(5, truth.shape[1] - 5):
            a, b = (image[y - 5 : y + 6, x - 5 : x + 6] for image in (truth, image))
            mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
            var_a, var_b = (weights * (a - mean_a) ** 2).sum(), (weights * (b - mean_b) ** 2).sum()
            covariance = (weights * (a - mean_a) * (b - mean_b)).sum()
            found.append(
                (2 * mean_a * mean_b + c1)
                * (2 * covariance + c2)
                / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
            )
    return float(np.mean(found))


def test_ssim_is_one_for_the_truth_itself_and_skips_missing_voxels() -> None:
    values = np.random.default_rng(0).normal(5, 1, (3, 20, 24)).astype(np.float32)
    truth = Volume(values, "ZYX")
    assert scores.ssim(truth, truth) == pytest.approx(1)
    assert scores.ssim(truth, truth.with_data(values[::-1].copy())) < 0.5
    holed = Volume(np.where(values > 6, 0, values), "ZYX", no_data=0.0)
    assert scores.ssim(holed, holed) == pytest.approx(1)
    with pytest.raises(MeeumError, match="differs from the truth"):
        scores.ssim(truth, Volume(values[:2], "ZYX"))


# Ranking


def contestant(name: str, level: float, *, fails: int = 0, seconds: float = 10.0, seeds: int = 2) -> Contestant:
    """Losses that share what the regions have in common, as those of one image do."""
    rng = np.random.default_rng(0)
    regions = rng.uniform(1, 3, 200)
    own = np.random.default_rng(len(name) + ord(name[0])).normal(0, 0.1, (seeds, 200))
    return Contestant(name, regions + level + own, fails, seconds)


def test_the_lowest_error_wins_though_regions_scatter_more_than_settings_differ() -> None:
    found = rank([contestant("worse", 0.2), contestant("best", 0.0), contestant("worst", 0.5)])
    assert found is not None
    assert (found.leader, found.best, found.chosen) == ("best", "best", "best")
    assert found.ties == ("best",)
    assert [one.name for one in found.differences] == ["best", "worse", "worst"]
    assert found.differences[1].value == pytest.approx(0.2, abs=0.03)
    scatter = contestant("best", 0).losses.std()
    assert found.differences[1].standard_error < 0.1 * scatter  # unpaired it would be lost


def test_the_standard_error_is_that_of_paired_regions() -> None:
    one, other = contestant("a", 0.0, seeds=1), contestant("b", 0.1, seeds=1)
    pairs = (one.losses - other.losses)[0]
    expected = pairs.std(ddof=1) / np.sqrt(200)
    assert ranking.difference(one, other).standard_error == pytest.approx(expected)


def test_a_tie_is_called_a_tie_and_goes_to_fewest_fails_then_the_cheaper() -> None:
    near = [contestant("a", 0.0, seconds=30), contestant("b", 0.005, seconds=10), contestant("c", 1.0, seconds=1)]
    found = rank(near)
    assert found is not None
    assert set(found.ties) == {"a", "b"}
    assert found.chosen == "b"
    failing = [replace(near[0], fails=1), replace(near[1], fails=2), replace(near[2], fails=1)]
    found = rank(failing)
    assert found is not None
    assert found.chosen == "a"


def test_scatter_between_seeds_makes_ties() -> None:
    steady = [contestant("a", 0.0), contestant("b", 0.1)]
    assert rank(steady).ties == ("a",)  # type: ignore[union-attr]
    moved = [
        replace(one, losses=one.losses + np.array([[-0.5], [0.5]]) * sign)
        for one, sign in zip(steady, (1, -1), strict=True)
    ]
    assert set(rank(moved).ties) == {"a", "b"}  # type: ignore[union-attr]


def test_the_default_stands_unless_another_is_better_beyond_doubt() -> None:
    known = [contestant("lower", 0.0), contestant("usual", 0.5), contestant("worse", 0.9)]
    assert rank(known, default="usual").chosen == "lower"  # type: ignore[union-attr]
    doubtful = rank(known, default="usual", doubt=0.6)
    assert doubtful is not None and (doubtful.best, doubtful.chosen) == ("lower", "usual")
    assert "usual" not in doubtful.ties  # chance alone does not explain it
    failing = [known[0], contestant("usual", 0.5, fails=1)]
    assert rank(failing, default="usual", doubt=0.6).chosen == "lower"  # type: ignore[union-attr]
    assert rank(failing, default="usual", doubt=math.inf).chosen == "usual"  # type: ignore[union-attr]


def test_what_the_measured_correlation_leaves_open_is_said(image: Path) -> None:
    noisy = api.read(image)
    white = replace(measure(noisy), std=1.0)
    coloured = replace(white, spectrum=np.linspace(2, 0, white.spectrum.size).reshape(white.spectrum.shape))
    runs = [
        Run(name, 0, Path(name), np.full(9, mse) + np.arange(9) / 1e3, noise_mse=1.0, audit={"findings": []})
        for name, mse in (("auto", 0.28), ("recorrupted", 0.2))
    ]
    found = conclusion.conclude(noisy, coloured, runs)
    assert found.ranking is not None and found.ranking.chosen == "auto"
    assert "less than the measured correlation of the noise leaves open" in found.sentence
    assert conclusion.conclude(noisy, replace(white, spectrum=np.ones_like(white.spectrum)), runs).ranking.chosen == (  # type: ignore[union-attr]
        "recorrupted"
    )


def test_an_audit_that_fails_is_not_chosen_while_another_does_not() -> None:
    found = rank([contestant("best", 0.0, fails=3), contestant("worse", 0.5), contestant("worst", 0.9)])
    assert found is not None
    assert (found.leader, found.best, found.chosen) == ("best", "worse", "worse")


def test_no_estimate_no_ranking() -> None:
    nothing = Contestant("a", np.full((1, 3), np.nan))
    assert rank([nothing]) is None
    assert rank([nothing, contestant("b", 0)]).chosen == "b"  # type: ignore[union-attr]


# The table


def finding(title: str, verdict: str, value: float | None = 0.0, **details: Any) -> dict[str, Any]:
    return {
        "title": title,
        "verdict": verdict,
        "value": value,
        "unit": "sigma",
        "sentence": "",
        "reason": "",
        "details": details,
    }


def test_every_finding_of_an_audit_has_a_column() -> None:
    made = phantom.make((16, 32, 32), settings=phantom.PhantomSettings(noise_std=4e-3)).noisy
    clean = made.with_data(made.read() * np.float32(0.99))
    pairs = (gather(made, clean, denoise=denoise) for denoise in (None, lambda values: 0.99 * values))
    findings = [one.title for pair in pairs for one in ask_all(pair, ALL_MEASURES).findings]
    known = tuple(title for column in COLUMNS.values() for title in column.titles)
    assert len(set(findings)) > 18
    assert [title for title in set(findings) if not title.startswith(known) and title not in columns.ASIDE] == []


def test_cells_hold_the_worst_verdict_and_its_number() -> None:
    waves = [{"field": "values", "contrast_before": 4.0, "contrast_after": 36.0}]
    audits = [
        {
            "findings": [
                finding("inverted contrast", "pass", 0.1),
                finding("bead response", "fail", -0.4),
                finding("lattice in the input", "warn", 0.3, waves=waves),
                finding("lattice made by the method", "pass", 0.0),
                finding("offset", "warn", 0.07),
                finding("gain", "cannot tell", None),
                finding("mean of cells", "pass", 1e-5),
            ]
        },
        {"findings": [finding("lattice made by the method", "warn", 0.015), finding("dry mass", "fail", 2.0)]},
    ]
    found = columns.cells(audits)
    assert (found["contrast inversion"].verdict, found["contrast inversion"].value) == ("fail", -0.4)
    assert (found["lattice in the input"].verdict, found["lattice in the input"].value) == ("warn", 0.3)
    assert (found["lattice made"].verdict, found["lattice made"].value) == ("warn", 0.015)
    assert (found["lattice amplified"].verdict, found["lattice amplified"].value) == ("warn", 3.0)
    assert (found["range and mean drift"].verdict, found["range and mean drift"].value) == ("warn", 0.07)
    assert (found["cell change"].verdict, found["cell change"].title) == ("fail", "dry mass")
    assert found["edges"].verdict == "cannot tell"
    assert columns.fails(audits) == ("bead response", "dry mass")
    assert [columns.Cell("pass", value, "").number for value in (0.123, 2e-4, float("nan"))] == ["0.12", "2e-4", ""]


@pytest.mark.parametrize(
    ("title", "value", "unit", "label"),
    [
        ("inverted contrast", 2.7, "noise standard deviations", "2.7σ"),
        ("bead response", 0.1, "of the bead's height", "beads 0.1"),
        ("structure lost", 2.7, "noise standard deviations", "lost 2.7σ"),
        ("fine detail along z", 0.97, "of the detail", "detail 0.97"),
        ("noise taken out", 0.99, "of the noise's variance", "taken 0.99"),
        ("residual unlike the noise", -0.13, "correlation", "unlike"),
        ("range", 1.01, "", "range 1"),
        ("dry mass", -0.5, "%", "mass -0.5%"),
        ("fine detail", math.nan, "of the detail", "detail"),
    ],
)
def test_a_number_that_the_heading_does_not_name_has_a_name(title: str, value: float, unit: str, label: str) -> None:
    cell = columns.Cell("warn", value, unit, title)
    assert cell.label == cell.as_dict()["label"] == label


def test_the_widest_row_fits_a_page_of_a_hundred_columns() -> None:
    facts = {
        "bead response": (0.12, ""), "lattice in the input": (0.021, "sigma"), "stripes made": (0.021, "sigma"),
        "lattice amplified": (1.8, ""), "structure without support": (2.7, "sigma"), "drift between": (-0.21, "sigma"),
        "residual unlike": (-0.13, ""), "structure lost": (2.7, "sigma"), "mean of background": (-0.021, "sigma"),
        "dry mass": (-0.5, "%"),
    }  # fmt: skip
    found = (columns.Cell("warn", value, unit, title) for title, (value, unit) in facts.items())
    cells = dict(zip(COLUMNS, found, strict=True))
    standing = replace(concluded(runs("a" * 40, 0.0)).standings[0], cells=cells)
    console = Console(width=scoreboard.WIDTH, file=io.StringIO())
    console.print(scoreboard._damage(replace(concluded(runs("a", 0.0)), standings=(standing,)), console))
    text = console.file.getvalue()
    assert all(word in text for word in ("! beads", "! lines", "! drift", "! unlike", "! lost", "! mass"))
    assert all(cell.number in text for cell in cells.values() if cell.title != "residual unlike")


def runs(name: str, level: float, *, fails: Sequence[str] = ()) -> list[Run]:
    audit = {"verdict": "pass", "counts": {}, "findings": [finding(title, "fail") for title in fails]}
    losses = contestant(name, level).losses
    return [Run(name, seed, Path(f"{name}-seed{seed}"), losses[seed], 4.0, audit, 9, 10.0) for seed in (0, 1)]


def concluded(*all_runs: list[Run]) -> conclusion.Result:
    values = np.random.default_rng(0).normal(0, 2, (40, 40)).astype(np.float32)
    volume = Volume(values, "YX")
    return conclusion.conclude(volume, measure(volume), [run for group in all_runs for run in group])


def test_the_sentence_says_which_why_and_how_sure() -> None:
    told = concluded(runs("best", 0.0, fails=["gain"]), runs("other", 0.5), runs("same", 0.5005)).sentence
    assert told.startswith("Take ")
    assert "best has a lower estimated error" in told
    assert "its audit fails (gain) and another's does not" in told
    assert re.search("It ties with (other|same)", told)
    clear = concluded(runs("best", 0.0), runs("other", 0.5)).sentence
    assert clear.startswith("Take best: ")
    assert "nothing in its audit fails" in clear
    assert re.search(r"The next, other, is worse by \d+\.\d standard errors \(paired over regions and 2 seeds\)", clear)
    assert "ties" not in clear


def test_a_choice_that_the_truth_contradicts_is_said_so() -> None:
    values = np.random.default_rng(0).normal(0, 2, (40, 40)).astype(np.float32)
    volume = Volume(values, "YX")
    seen = [replace(one, psnr=20.0) for one in runs("best", 0.0)]
    told = conclusion.conclude(volume, measure(volume), seen, truth=(25.0, 0.5)).cautions
    assert "by the truth best is worse than the noisy image (20.00 dB against 25.00)" in told[0]
    assert "by the truth" not in " ".join(
        conclusion.conclude(volume, measure(volume), seen, truth=(15.0, 0.5)).cautions
    )


def test_json_and_csv_hold_the_table(compared: tuple[Path, conclusion.Result]) -> None:
    target, result = compared
    told = json.loads((target / "comparison.json").read_text())
    assert told["version"] == 1
    assert told["ranking"]["chosen"] == result.ranking.chosen  # type: ignore[union-attr]
    with (target / "comparison.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [one["name"] for one in told["settings"]]
    for row, one in zip(rows, told["settings"], strict=True):
        assert float(row["mse"]) == one["mse"]
        for name, cell in one["cells"].items():
            assert row[name] == cell["verdict"]
        mean = np.mean([run["mse"] for run in one["runs"]])
        assert one["mse"] == pytest.approx(mean)


class Tags(HTMLParser):
    """Every address a page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_page_needs_nothing_but_itself(compared: tuple[Path, conclusion.Result]) -> None:
    target, result = compared
    page = (target / "comparison.html").read_text(encoding="utf-8")
    assert "http://" not in page
    assert "https://" not in page
    tags = Tags()
    tags.feed(page)
    pictures = [one for one in tags.addresses if one.startswith("data:image/png;base64,")]
    assert len(pictures) == 2 + 3 * len(result.standings)  # noisy: plane and spectrum; others: the difference too
    links = {unquote(one) for one in tags.addresses if not one.startswith("data:")}
    assert links
    assert all((target / one).is_file() for one in links)
    assert result.sentence.split(":")[0] in page
    labels = [cell.label for one in result.standings for cell in one.cells.values() if cell.label]
    assert any(" " in label for label in labels)
    assert all(label.replace("-", "−") in page.replace("-", "−") for label in labels)


# The command


def test_command_compares_and_says_what_to_take(image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = [word for one in TINY for word in ("--set", one)]
    vary = ["--vary", "training.objective=masked,recorrupted"]
    outcome = call("compare", image, *vary, *words, "--truth", image.with_name("truth.npy"))
    assert outcome.code == 0, outcome.err
    assert "2 settings x 1 seed: 2 runs of 4 steps" in outcome.out
    assert "Take objective=" in outcome.out
    assert max(len(line) for line in outcome.out.splitlines() if not line.startswith("written")) <= 100
    assert re.search(r"[?!✓✗] (offset|gain|range|drift) ", outcome.out)
    again = call("compare", image, *vary, *words, "--truth", image.with_name("truth.npy"), "--json")
    assert json.loads(again.out)["version"] == 1
    assert call("compare", image, *vary, *words, "--seeds", "2").code == 2
    wrong = call("compare", image, *vary, *words, "--out", "x", "--truth", tmp_path / "no.npy")
    assert wrong.code == 2
    assert not (tmp_path / "x").exists()


# Choosing


def planted(monkeypatch: pytest.MonkeyPatch, errors: dict[str, float]) -> None:
    """Candidates get these errors instead of being trained."""
    monkeypatch.setattr(grid, "PRESETS", {"objectives": lambda scene, base: {
        name: (f"training.objective={'auto' if name == 'auto' else 'recorrupted'}", f"training.alpha={number + 1}")
        for number, name in enumerate(errors)
    }})  # fmt: skip
    named = {number + 1: error for number, error in enumerate(errors.values())}

    def tried(volume: Volume, settings: Settings, noise: Any) -> tuple[Losses, float]:
        rng = np.random.default_rng(0)
        level = named[round(settings.training.alpha)]
        return Losses(rng.uniform(1, 3, 100) + level + 0.01 * np.arange(100) % 3 * level, 4.0), 0.1

    monkeypatch.setattr(choosing, "_try", tried)


def chosen(image: Path) -> choosing.Trial:
    settings = override(assumed(SHAPE), ("training.minutes=1", "training.steps=30"))
    return list(choosing.choose(api.read(image), settings))[-1]


def test_choose_takes_the_better_candidate(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch, {"auto": 50, "first": 10, "second": 90})
    last = chosen(image)
    assert last.settings is not None
    assert last.settings.training.alpha == 2
    assert last.settings.training.steps == 20
    assert last.text.startswith("chose first after short trials")
    assert "auto, the next, is worse by" in last.text


def test_choose_gives_ties_to_auto(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch, {"auto": 0.1, "first": 0.1, "second": 0.9})
    last = chosen(image)
    assert last.settings is not None
    assert last.settings.training.alpha == 1
    assert "first cannot be told from the best" in last.text


def test_choose_in_a_run(image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = [word for one in TINY for word in ("--set", one)]
    outcome = call("denoise", image, "--choose", *words, "--set", "training.steps=21", "--out", "run")
    assert outcome.code == 0, outcome.err
    assert "Choosing: trying auto, 1 of " in outcome.out
    assert "Note: chose " in outcome.out
    assert api.load(tmp_path / "run").step == 14
    assert "chose " in (tmp_path / "run" / "log.txt").read_text()
    assert call("denoise", image, "--choose", "--resume", "--out", "run").code == 2
