"""A run: its folder, what Ctrl-C leaves, and going on to the very same weights."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from command import TINY, Outcome, call

from meeum import answers, api, checkpoint, folder, io, phantom, results, run, terminal
from meeum.errors import MeeumError, UsageError
from meeum.io.files import replacing
from meeum.job import Event, Job
from meeum.settings import Settings, assumed, override
from meeum.volume import Volume

SHAPE = (12, 32, 32)
STEPS = 6
MANY = 80


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with A.TCF, B.TCF of one frame and film.TCF of three."""
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("images")
    for number, name in enumerate(("A", "B")):
        io.write(phantom.make(SHAPE, seed=number).noisy, place / f"{name}.TCF")
    film = phantom.make((8, 16, 16), seed=2, settings=phantom.PhantomSettings(frames=3))
    io.write(film.noisy, place / "film.TCF")
    return place


@pytest.fixture
def here(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory beside the images."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def tiny(shape: tuple[int, ...], steps: int = STEPS) -> Settings:
    return override(assumed(shape), [*TINY[1::2], f"training.steps={steps}"])


def job(images: Path, target: Path, *names: str, stop: Callable[[], bool] = lambda: False) -> Job:
    volumes = [api.read(images / f"{name}.TCF") for name in names or ("A",)]
    return Job(volumes, target, tiny(volumes[0].spatial_shape), "meeum denoise", stop=stop)


def stopping_after(count: int) -> Callable[[], bool]:
    """Says stop when it is asked for the `count`-th time."""
    left = iter(range(count, 0, -1))
    return lambda: next(left, 0) <= 1


def ends(events: Iterator[Event]) -> Event:
    return list(events)[-1]


def weights(path: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = api.load(path).network.state_dict()
    return state


def assert_same_weights(one: Path, other: Path) -> None:
    assert checkpoint.weights_equal(api.load(one), api.load(other))
    assert any(value.abs().sum() > 0 for value in weights(one).values())


def words(*settings: str) -> list[str]:
    return [*TINY, *(word for setting in settings for word in ("--set", setting))]


@pytest.fixture(scope="module")
def uninterrupted(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("runs") / "whole"
    assert ends(run.start(job(images, target))).stage == "done"
    return target


# The folder


def test_folder_appears_when_training_begins(images: Path, here: Path) -> None:
    events = run.start(job(images, here / "out"))
    for event in events:
        if event.stage in ("note", "train"):
            break
        assert not (here / "out").exists()
    assert {path.name for path in (here / "out").iterdir()} == {
        "settings.ini",
        "command.txt",
        "versions.json",
        "log.txt",
    }
    events.close()


def test_events_tell_every_stage(images: Path, here: Path) -> None:
    events = list(run.start(job(images, here / "out")))
    stages = list(dict.fromkeys(event.stage for event in events))
    assert stages == ["prepare", "note", "train", "denoise", "write", "audit", "report", "done"]
    notes = [event.text for event in events if event.stage == "note"]
    assert notes[0].startswith("recorrupted: the noise is")
    assert len(notes) == 1  # what was done to the image the audit says, once
    assert events[-1].audit is not None and events[-1].audit.denoised.name == "A.TCF"
    training = [event for event in events if event.stage == "train"]
    assert [event.text for event in training] == [f"step {n}/{STEPS}" for n in range(1, STEPS + 1)]
    assert [event.share for event in training] == pytest.approx([n / STEPS for n in range(1, STEPS + 1)])
    assert all(np.isfinite(event.loss) and event.seconds_left >= 0 for event in training)
    for stage in ("denoise", "write", "audit", "report"):
        assert [event for event in events if event.stage == stage][-1].share == 1


@pytest.mark.parametrize("failing", ["training", "tile", "format"])
def test_what_is_refused_leaves_no_folder(failing: str, images: Path, here: Path) -> None:
    asked = job(images, here / "out")
    wrong = {
        "training": asked.settings.changed("masking", mask_size=(4,)).changed("training", objective="masked"),
        "tile": asked.settings.changed("prediction", memory_gb=1e-7),
        "format": asked.settings.changed("output", formats=("tcf",)),
    }
    plain = [Volume(np.random.default_rng(0).normal(size=SHAPE).astype(np.float32), "ZYX")]
    asked = replace(asked, settings=wrong[failing], volumes=plain if failing == "format" else asked.volumes)
    with pytest.raises(UsageError):
        list(run.start(asked))
    assert list(here.iterdir()) == []


def test_existing_folder_is_refused_unless_overwritten(images: Path, here: Path) -> None:
    assert ends(run.start(job(images, here / "out"))).stage == "done"
    mine = here / "out" / "mine.txt"
    mine.write_text("notes")
    log = (here / "out" / "log.txt").read_text()
    with pytest.raises(UsageError, match=r"out: exists; choose another with --out, or replace it with --overwrite"):
        next(run.start(job(images, here / "out")))
    assert (here / "out" / "log.txt").read_text() == log
    (here / "out" / "results" / "old.tif").write_text("of an earlier run")
    assert ends(run.start(replace(job(images, here / "out"), overwrite=True))).stage == "done"
    assert not (here / "out" / "results" / "old.tif").exists()
    assert mine.read_text() == "notes"
    assert (here / "out" / "log.txt").read_text().count("trained") == 1


def test_earlier_run_stays_until_the_new_one_may_begin(images: Path, here: Path) -> None:
    assert ends(run.start(job(images, here / "out"))).stage == "done"
    before = sorted((path, path.read_bytes()) for path in (here / "out").rglob("*") if path.is_file())
    asked = replace(job(images, here / "out"), overwrite=True)
    with pytest.raises(UsageError):
        list(
            run.start(
                replace(
                    asked,
                    settings=asked.settings.changed("masking", mask_size=(4,)).changed("training", objective="masked"),
                )
            )
        )
    assert sorted((path, path.read_bytes()) for path in (here / "out").rglob("*") if path.is_file()) == before


def test_folder_of_something_else_is_never_cleared(images: Path, here: Path) -> None:
    (here / "thesis" / "results").mkdir(parents=True)
    (here / "thesis" / "results" / "figure.png").write_text("years of work")
    (here / "afile").write_text("no folder")
    for name in ("thesis", "afile"):
        for overwrite in (False, True):
            with pytest.raises(UsageError, match=f"{name}: exists"):
                next(run.start(replace(job(images, here / name), overwrite=overwrite)))
    assert (here / "thesis" / "results" / "figure.png").read_text() == "years of work"
    assert (here / "afile").read_text() == "no folder"
    (here / "empty").mkdir()
    assert next(run.start(job(images, here / "empty"))).stage == "prepare"


def test_overwriting_what_is_read_is_refused(images: Path, here: Path) -> None:
    assert ends(run.start(job(images, here / "out"))).stage == "done"
    result = here / "out" / "results" / "A_denoised.TCF"
    outcomes = [
        call("denoise", result, "--out", "out", "--overwrite", *words("training.steps=2")),
        call("denoise", images / "A.TCF", "--model", "out", "--out", "out", "--overwrite"),
        call("denoise", images / "A.TCF", "--model", "out/model.safetensors", "--out", "out", "--overwrite"),
    ]
    for outcome in outcomes:
        assert outcome.code == 2
        assert "--overwrite would remove" in outcome.err
    assert result.exists()
    assert (here / "out" / "model.safetensors").exists()


def test_names_with_dots_do_not_collide() -> None:
    names = ["20240131.124500.001.TCF", "20240131.124500.002.TCF", "cell.ome.tif", "a/cell.tiff"]
    assert [folder.name_of(Path(name)) for name in names] == [
        "20240131.124500.001",
        "20240131.124500.002",
        "cell",
        "cell",
    ]


# Stopping and going on


@pytest.mark.parametrize("after", [1, 4, STEPS])
def test_resumed_weights_are_those_of_an_uninterrupted_run(
    after: int, images: Path, here: Path, uninterrupted: Path
) -> None:
    stopped = ends(run.start(job(images, here / "out", stop=stopping_after(after))))
    assert stopped.stage == "stopped"
    assert stopped.text == f"stopped after training step {after} of {STEPS}"
    assert api.load(here / "out").step == after
    assert not (here / "out" / "results").exists()
    outcome = call("denoise", images / "A.TCF", "--out", "out", "--resume")
    assert outcome.code == 0, outcome.err
    assert_same_weights(here / "out", uninterrupted)
    losses = [[row["loss"] for row in api.load(path).history] for path in (here / "out", uninterrupted)]
    assert losses[0] == losses[1]
    assert len(losses[0]) == STEPS
    results = [io.read(path / "results" / "0.hdf", dataset="output").read() for path in (here / "out", uninterrupted)]
    assert np.array_equal(*results)
    assert (here / "out" / "command.txt").read_text().splitlines()[1].endswith("--resume")


def test_interrupted_weights_differ(images: Path, here: Path, uninterrupted: Path) -> None:
    list(run.start(job(images, here / "out", stop=stopping_after(STEPS - 1))))
    assert not checkpoint.weights_equal(api.load(here / "out"), api.load(uninterrupted))


def test_resuming_several_files_and_a_complete_model(images: Path, here: Path) -> None:
    files = [images / "A.TCF", images / "B.TCF"]
    settings = words("training.steps=4", "training.turn=none")
    assert call("train", *files, "--out", "whole", *settings).code == 0
    asked = replace(job(images, here / "parts", "A", "B", stop=stopping_after(2)), denoise=False)
    asked = replace(asked, settings=override(asked.settings, ["training.steps=4", "training.turn=none"]))
    assert ends(run.start(asked)).stage == "stopped"
    outcome = call("train", *files, "--out", "parts", "--resume")
    assert outcome.code == 0, outcome.err
    assert_same_weights(here / "parts", here / "whole")
    assert not (here / "parts" / "results").exists()
    before = (here / "parts" / "model.safetensors").read_bytes()
    outcome = call("train", *files, "--out", "parts", "--resume", "--json")  # there is nothing left to do
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["model"] == "parts/model.safetensors"
    assert_same_weights(here / "parts", here / "whole")
    assert len((here / "parts" / "model.safetensors").read_bytes()) == len(before)
    assert (here / "parts" / "metrics.csv").read_text().count("\n") == 5


def test_resuming_a_complete_run_repeats_its_results(images: Path, here: Path) -> None:
    assert ends(run.start(job(images, here / "out"))).stage == "done"
    first = io.read(here / "out" / "results" / "0.hdf", dataset="output").read()
    (here / "out" / "results" / "0.hdf").unlink()
    outcome = call("denoise", images / "A.TCF", "--out", "out", "--resume")
    assert outcome.code == 0, outcome.err
    assert np.array_equal(io.read(here / "out" / "results" / "0.hdf", dataset="output").read(), first)


def test_stopping_while_denoising(images: Path, here: Path) -> None:
    stage = [""]
    events = []
    for event in run.start(job(images, here / "out", "film", stop=lambda: stage[0] == "denoise")):
        stage[0] = event.stage
        events.append(event)
    assert events[-1].stage == "stopped"
    assert events[-1].text == "stopped with 33% of the image denoised"
    assert not (here / "out" / "results").exists()
    outcome = call("denoise", images / "film.TCF", "--out", "out", "--resume")
    assert outcome.code == 0, outcome.err
    assert sorted(path.name for path in (here / "out" / "results").iterdir()) == [
        "0.hdf",
        "1.hdf",
        "2.hdf",
        "film_denoised.TCF",
    ]


def test_settings_of_input_and_output_are_resumed_too(images: Path, here: Path) -> None:
    settings = [*words("training.steps=3", "output.formats=npy"), "--set", "training.patch=16,16"]
    source = [images / "A.TCF", "--projection", "max"]
    assert call("denoise", *source, "--out", "whole", *settings).code == 0
    volume = api.read(images / "A.TCF", projection="max")
    chosen = override(assumed(volume.shape), [*settings[1::2], "input.projection=max"])
    asked = Job([volume], here / "parts", chosen, "meeum", stop=stopping_after(1))
    assert ends(run.start(asked)).stage == "stopped"
    outcome = call("denoise", images / "A.TCF", "--out", "parts", "--resume")
    assert outcome.code == 0, outcome.err
    assert [path.name for path in (here / "parts" / "results").iterdir()] == ["A_denoised.npy"]
    assert_same_weights(here / "parts", here / "whole")


@pytest.mark.parametrize(
    "extra",
    [
        ["--config", "run.ini"],
        ["--set", "training.steps=9"],
        ["--minutes", "3"],
        ["--quality", "fast"],
        ["--repeat", "again.TCF"],
        ["--projection", "max"],
        ["--overwrite"],
        ["--model", "other"],
    ],
)
def test_resuming_with_other_settings_is_refused(extra: list[str], images: Path, here: Path) -> None:
    outcome = call("denoise", images / "A.TCF", "--out", "out", "--resume", *extra)
    assert outcome.code == 2
    assert outcome.err.startswith(
        "meeum: --resume goes on with the settings of the interrupted run; leave out --config"
    )


def test_resuming_nothing_is_refused(images: Path, here: Path) -> None:
    (here / "empty").mkdir()
    for name in ("empty", "nothere"):
        outcome = call("denoise", images / "A.TCF", "--out", name, "--resume")
        assert outcome.code == 2
        assert outcome.err.startswith(f"meeum: {name}: nothing to resume here (no model.safetensors)")
    assert [path.name for path in here.iterdir()] == ["empty"]
    outcome = call("train", images / "A.TCF", "--out", "nothere", "--resume", "--minutes", "2")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)


def test_resuming_with_an_image_of_other_axes_is_refused(images: Path, here: Path) -> None:
    list(run.start(job(images, here / "out", stop=stopping_after(1))))
    np.save(here / "flat.npy", np.random.default_rng(0).normal(size=(32, 32)))
    outcome = call("denoise", "flat.npy", "--out", "out", "--resume")
    assert outcome.code == 2
    assert "flat.npy: axes YX, but the model was trained on ZYX" in outcome.err


def test_checkpoints_are_written_in_between(images: Path, here: Path) -> None:
    asked = job(images, here / "out")
    asked = replace(asked, settings=asked.settings.changed("training", checkpoint_minutes=1e-9))
    steps = [api.load(here / "out").step for event in run.start(asked) if event.stage == "train" and event.share > 0.2]
    assert steps == [1, 2, 3, 4, 5]  # each was saved after the step before was shown


# Ctrl-C, in a process of its own


def process(*command: object, cwd: Path) -> subprocess.Popen[str]:
    code = "import torch; torch.set_num_threads(1); from meeum.cli import main; main()"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, command)],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def interrupted_after(running: subprocess.Popen[str], text: str) -> Outcome:
    """Send SIGINT once `text` was printed, and wait for the end."""
    assert running.stdout is not None
    seen = []
    for line in running.stdout:
        seen.append(line)
        if text in line:
            break
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    return Outcome(running.returncode, "".join(seen) + out, err)


def test_ctrl_c_saves_says_how_to_go_on_and_resumes_exactly(images: Path, here: Path) -> None:
    source = here / "my cell.TCF"  # a blank: the command that is shown must be quoted
    source.write_bytes((images / "A.TCF").read_bytes())
    settings = words(f"training.steps={MANY}", "output.formats=hdf")
    outcome = interrupted_after(process("denoise", source.name, "--out", "out", *settings, cwd=here), "Training: step")
    assert outcome.code == 130, outcome.err
    assert "finishing this step, then saving (Ctrl-C again: stop at once)" in outcome.err
    assert "Traceback" not in outcome.err
    said, command = outcome.out.splitlines()[-2:]
    step = api.load(here / "out").step
    assert 0 < step < MANY
    assert said == f"stopped after training step {step} of {MANY}. To go on:"
    assert shlex.split(command) == ["meeum", "denoise", source.name, "--out", "out", "--resume"]
    assert (here / "out" / "metrics.csv").read_text().count("\n") == step + 1
    assert call(*shlex.split(command)[1:]).code == 0
    assert call("denoise", source.name, "--out", "whole", *settings).code == 0
    assert_same_weights(here / "out", here / "whole")
    assert api.load(here / "out").step == MANY


def test_ctrl_c_with_json_still_gives_one_object(images: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pressing(asked: Job) -> Iterator[Event]:
        for event in start(asked):
            if event.stage == "train" and not asked.stop():
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.01)
            yield event

    start = run.start
    monkeypatch.setattr(terminal.run, "start", pressing)
    before = signal.getsignal(signal.SIGINT)
    outcome = call("denoise", images / "A.TCF", "--out", "out", "--json", *words("training.steps=4"))
    assert outcome.code == 130
    told = json.loads(outcome.out)
    assert told["exit_code"] == 130
    assert told["error"] == "stopped after training step 1 of 4"
    assert told["go_on"] == shlex.join(["meeum", "denoise", str(images / "A.TCF"), "--out", "out", "--resume"])
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_in_the_audit_leaves_whole_results(images: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pressing(asked: Job) -> Iterator[Event]:
        for event in start(asked):
            if event.text.startswith("2 of ") and event.stage == "audit":
                signal.raise_signal(signal.SIGINT)
            yield event

    start = run.start
    monkeypatch.setattr(terminal.run, "start", pressing)
    outcome = call("denoise", images / "A.TCF", "--out", "out", *words("training.steps=2", "output.formats=hdf"))
    assert outcome.code == 130
    said, command = outcome.out.splitlines()[-2:]
    assert said.startswith("stopped after 2 of ")
    assert io.read(here / "out" / "results" / "0.hdf", dataset="output").shape == SHAPE
    assert not {path.name for path in (here / "out").iterdir()} & {"audit.json", "report.html", "summary.json"}
    monkeypatch.setattr(terminal.run, "start", start)
    weights = api.load(here / "out")
    assert call(*shlex.split(command)[1:]).code == 0
    assert (here / "out" / "report.html").is_file()
    assert checkpoint.weights_equal(api.load(here / "out"), weights)


def test_second_ctrl_c_stops_at_once(images: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def impatient(asked: Job) -> Iterator[Event]:
        for event in start(asked):
            yield event
            if event.stage == "train":
                for _ in range(2):
                    signal.raise_signal(signal.SIGINT)  # to this thread: two sent to the process may become one

    start = run.start
    monkeypatch.setattr(terminal.run, "start", impatient)
    outcome = call("denoise", images / "A.TCF", "--out", "out", *words("training.steps=4"))
    assert outcome.code == 130
    assert outcome.err.splitlines()[-1] == "meeum: stopped at once; what was saved before lies in out"


def test_ctrl_c_while_a_given_model_denoises(images: Path, here: Path, uninterrupted: Path) -> None:
    stage = [""]
    model = api.load(uninterrupted)
    asked = replace(job(images, here / "out", "film", stop=lambda: stage[0] == "denoise"), model=model)
    events = []
    for event in run.start(replace(asked, settings=model.settings)):
        stage[0] = event.stage
        events.append(event)
    assert events[-1].stage == "stopped"
    assert terminal._command_to_go_on(asked, anew=True) == "meeum denoise --overwrite"


def crowd(here: Path) -> Volume:
    """Cells everywhere: a first training has to tell how strong the noise is."""
    made = phantom.make((24, 64, 64), seed=0, settings=phantom.PhantomSettings(cells=9, noise_std=4e-4))
    np.save(here / "crowd.npy", made.noisy.read())
    return io.read(here / "crowd.npy")


def test_a_first_training_says_how_far_it_is_and_can_be_stopped(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "STEPS", 2)
    monkeypatch.setattr(answers, "AWAKE", 8)
    chosen = override(
        tiny((24, 64, 64)), ["training.objective=auto", "training.steps=60", "network.width=8", "training.patch=16"]
    )
    asked = Job([crowd(here)], here / "out", chosen, "meeum denoise crowd.npy --out out", denoise=False)
    said = [event for event in run.start(asked) if event.stage == "prepare"]
    assert [event.share for event in said if event.share] == pytest.approx(np.arange(1, 11) / 10)
    assert said[3].text == "first training, to know the noise better: step 6/20"
    assert said[3].seconds_left > 0
    last = ends(run.start(replace(asked, folder=here / "stopped", stop=stopping_after(3))))
    assert (last.stage, last.text) == ("stopped", "stopped before the training began; nothing was written")
    assert not (here / "stopped").exists()


@pytest.mark.parametrize("choose", [(), ("--choose",)])
def test_a_repeat_tells_the_noise_to_train_with(choose: tuple[str, ...], here: Path) -> None:
    film = phantom.make(SHAPE, settings=phantom.PhantomSettings(frames=2)).noisy
    one, again = (io.write(film.frame(number), here / f"{number}.TCF") for number in (0, 1))
    given = ("--repeat", again, *words(f"training.steps={STEPS}"), "--out")
    outcome = call("denoise", one, *given, "out", *choose)
    assert outcome.code == 0, outcome.err
    expected = api.measure_noise(api.read(one), api.read(again))
    found = api.load(here / "out").noise
    assert found is not None
    assert (found.std, found.source) == (pytest.approx(expected.std), "repeats of the same field")
    refused = call("train", one, again, *given, "model")
    assert (refused.code, "tells the noise of one image, but 2 were given" in refused.err) == (2, True)


# What goes wrong on the way


def test_a_report_that_cannot_be_written_is_named_as_it_is_known(
    images: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(target: Path, *_: object, **__: object) -> None:
        with replacing(target / "report.html", overwrite=True):
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(results, "report", refuse)
    outcome = call("denoise", images / "A.TCF", "--out", "out", *words("training.steps=2"))
    told = "meeum: out/report.html: could not be written (Permission denied); nothing was left behind\n"
    assert (outcome.code, outcome.err) == (1, told)


def test_full_disk_at_the_results_is_told_and_can_be_gone_on_from(
    images: Path, here: Path, monkeypatch: pytest.MonkeyPatch, uninterrupted: Path
) -> None:
    def full(volume: Volume, path: Path, **_: object) -> None:
        path.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    settings = words(f"training.steps={STEPS}")
    with monkeypatch.context() as patch:
        patch.setitem(io.WRITERS, ".tcf", full)
        outcome = call("denoise", images / "A.TCF", "--out", "out", *settings)
    assert outcome.code == 1
    assert outcome.err.startswith("meeum: out/results/A_denoised.TCF: could not be written (No space left on device)")
    assert outcome.err.count("\n") == 1
    assert [path.name for path in (here / "out" / "results").iterdir()] == ["0.hdf"]
    assert call("denoise", images / "A.TCF", "--out", "out", "--resume").code == 0
    assert_same_weights(here / "out", uninterrupted)


@pytest.mark.parametrize(
    "name", ["settings.ini", "log.txt", "model.safetensors", "report.html", "previews/xy_noisy.png"]
)
def test_full_disk_anywhere_is_one_line(name: str, images: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing to the file of this name, or to its temporary name, fails as it does on a full disk."""
    from PIL import Image

    def failing(real: Callable[..., object], place: int = 0) -> Callable[..., object]:
        def maybe(*args: object, **options: object) -> object:
            if Path(name).name in str(args[place]):
                raise OSError(28, "No space left on device")
            return real(*args, **options)

        return maybe

    monkeypatch.setattr(Path, "write_text", failing(Path.write_text))
    monkeypatch.setattr(Path, "open", failing(Path.open))
    monkeypatch.setattr(checkpoint, "save_file", failing(checkpoint.save_file, 1))
    monkeypatch.setattr(Image.Image, "save", failing(Image.Image.save, 1))
    outcome = call("denoise", images / "A.TCF", "--out", "out", *words("training.steps=2"))
    assert outcome.code == 1
    assert outcome.err.startswith("meeum: ")
    assert "No space left on device" in outcome.err
    assert outcome.err.count("\n") == 1
    assert not [path for path in (here / "out").rglob("*") if "partial" in path.name]


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("x: can't allocate memory: y")]
)
def test_lack_of_memory_is_told_with_a_remedy(
    error: Exception, images: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def greedy(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(run.preparation, "preparing", greedy)
    with pytest.raises(MeeumError, match=r"not enough memory; try --set training\.batch=2"):
        list(run.start(job(images, here / "out")))
    assert list(here.iterdir()) == []


def test_other_errors_are_not_hidden(images: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a mistake in meeum")

    monkeypatch.setattr(run.preparation, "preparing", broken)
    with pytest.raises(RuntimeError, match="a mistake in meeum"):
        list(run.start(job(images, here / "out")))


def test_large_results_reserve_their_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "IN_MEMORY", 100)
    room = api._room((5, 7, 11))
    assert isinstance(room, np.memmap)
    room[:] = 3
    assert room.sum() == 3 * 5 * 7 * 11
    if sys.platform == "linux":

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "posix_fallocate", full)
        with pytest.raises(OSError, match="No space left"):
            api._room((5, 7, 11))


# The audit at the end


@pytest.mark.parametrize(
    ("taken", "expected"), [(1.0, 10.0), (60.0, 30.0), (120.0, 60.0), (300.0, 60.0), (600.0, 60.0), (1200.0, 120.0)]
)
def test_the_network_is_asked_for_a_tenth_of_the_run_or_a_minute(taken: float, expected: float) -> None:
    assert results.time_to_ask(taken) == expected


def test_the_noise_of_the_audit_is_that_of_the_training_or_of_another_image_measured_anew(
    images: Path, here: Path
) -> None:
    def told(name: str) -> float:
        std: float = json.loads((here / name / "audit.json").read_text(encoding="utf-8"))["noise"]["std"]
        return std

    list(run.start(job(images, here / "one")))
    model = api.load(here / "one")
    assert model.noise is not None
    assert told("one") == pytest.approx(model.noise.std)
    other = replace(job(images, here / "other", "B"), model=model, settings=model.settings)
    list(run.start(other))
    assert told("other") == pytest.approx(api.measure_noise(api.read(images / "B.TCF")).std)
    assert told("other") != pytest.approx(model.noise.std, rel=1e-6)


def test_an_audit_that_is_impossible_says_why(images: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object, **__: object) -> None:
        raise MeeumError("nothing was measured")

    monkeypatch.setattr(results, "gather", nothing)
    last = ends(run.start(job(images, here / "out")))
    assert last.audit is not None
    assert (last.audit.verdict, last.audit.reason) == ("cannot tell", "nothing was measured")
    assert "nothing was measured" in (here / "out" / "report.html").read_text(encoding="utf-8")
