"""The README is executed: its Python, its commands and its INI section, on a small phantom."""

import re
import shlex
import sys
from pathlib import Path

import pytest
import torch

import meeum
from meeum import api, cli, io, phantom
from meeum import settings as settings_room
from meeum.ini import read_ini, to_ini
from meeum.settings import Settings, assumed

README = Path(__file__).parents[1] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)


def tiny(settings: Settings) -> Settings:
    """The same settings with two steps of a two-channel network."""
    return settings.changed("training", steps=2, precision="float32").changed("network", width=2)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files the README names, in which whatever is assumed trains for two steps only."""
    torch.set_num_threads(1)
    made = phantom.make((12, 32, 32), seed=1)
    for name in ("cell", "A", "B", "C"):
        io.write(made.noisy, tmp_path / f"{name}.TCF")
    (tmp_path / "run.ini").write_text(to_ini(tiny(assumed((12, 32, 32)))), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(api, "assumed", lambda shape: tiny(assumed(shape)))
    monkeypatch.setattr(settings_room, "assumed", lambda shape, assumed=assumed: tiny(assumed(shape)))
    return tmp_path


def test_python_block_runs(bench: Path) -> None:
    (block,) = blocks("python")
    exec(compile(block, "README.md", "exec"), {})
    again = meeum.read(bench / "cell_denoised.TCF")
    assert again.shape == (12, 32, 32)
    assert again.read().tolist() != meeum.read(bench / "cell.TCF").read().tolist()


def test_commands_run(bench: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = [line.split("#")[0] for line in blocks("sh")[0].splitlines()]
    assert len(commands) == 5
    for number, command in enumerate(commands):
        words = shlex.split(command)
        monkeypatch.setattr(sys, "argv", words + (["--out", f"run{number}"] if "denoise" in words else []))
        with pytest.raises(SystemExit) as left:
            cli.main()
        assert not left.value.code, command
    assert len(list(bench.glob("run*/report.html"))) == 3


def test_ini_block_is_valid(tmp_path: Path) -> None:
    (block,) = blocks("ini")
    path = tmp_path / "run.ini"
    path.write_text(block, encoding="utf-8")
    masking = read_ini(path).masking
    assert (masking.masking, masking.mask_std, masking.mask_size, masking.footprint) == ("GPS", (5.0,), None, (0,))


def test_links_and_pictures_exist() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README.read_text(encoding="utf-8")):
        assert (README.parent / target).is_file(), target
