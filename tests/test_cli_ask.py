"""`meeum ask`: answers as words, JSON, page and figures; what it refuses."""

import json

import numpy as np
import pytest
from command import call

from meeum import inquiry
from meeum.asking import Bench, experiments, leak


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(inquiry, "bench", Bench)
    monkeypatch.setattr(leak, "NOTE", ())
    monkeypatch.setattr(leak, "flat", lambda seed, noise: experiments.flat(seed, noise=noise, side=48))
    quick = {2: ("training.batch=1", "training.patch=16", "network.width=2")}
    monkeypatch.setattr(experiments, "SMALL", {**experiments.SMALL, **quick})


def test_one_question_is_answered(tmp_path):
    out = tmp_path / "answers"
    outcome = call("ask", "--question", 5, "--steps", 2, "--seeds", 1, "--out", out)
    assert outcome.code == 0, outcome.err
    assert "5. Why did G look best?" in outcome.out
    assert sorted(path.name for path in out.iterdir()) == ["answers.html", "answers.json", "figures"]
    told = json.loads((out / "answers.json").read_text())
    assert told["version"] == 1
    assert (told["steps"], told["seeds"], told["file"]) == (2, 1, None)
    (answer,) = told["answers"]
    for key in ("number", "text", "hypothesis", "prediction", "doubt", "conclusion", "holds", "statistics", "rows"):
        assert key in answer
    assert answer["conclusion"] in outcome.out
    assert {row["setting"] for row in answer["rows"]} >= {"UPS", "G 0.25 std", "recorrupted"}
    assert all(0 < row["expected_leak"] < 1 for row in answer["rows"] if row["setting"].startswith("G"))
    page = (out / "answers.html").read_text()
    assert "Why did G look best?" in page
    assert page.count("data:image/png;base64,") == 2 == len(list((out / "figures").glob("q5_*.png")))
    assert "http" not in page.replace("http-equiv", "")
    again = call("ask", "--question", 5, "--out", out)
    assert again.code == 2
    assert "--overwrite" in again.err


def test_a_file_is_asked_too_and_json_is_one_object(tmp_path, monkeypatch):
    monkeypatch.setattr(leak, "STRONG_AND_WEAK", {"weak": experiments.WEAK})
    values = np.random.default_rng(0).standard_normal((48, 48)).astype(np.float32)
    np.save(tmp_path / "cells.npy", values)
    words = ("--question", 5, "--steps", 1, "--seeds", 1, "--out", tmp_path / "out", "--json")
    outcome = call("ask", tmp_path / "cells.npy", *words)
    assert outcome.code == 0, outcome.err
    told = json.loads(outcome.out)
    assert told["file"] == "cells.npy"
    assert {row["image"] for row in told["answers"][0]["rows"]} == {"phantom", "cells.npy"}


def test_bad_words_are_explained(tmp_path):
    unknown = call("ask", "--question", 7, "--out", tmp_path / "out")
    assert unknown.code == 2
    assert "--question 7: there is no such question; known are 1 Is the signal one pixel small?" in unknown.err
    assert not (tmp_path / "out").exists()
    missing = call("ask", tmp_path / "none.tif", "--out", tmp_path / "out")
    assert missing.code in (1, 2)
    assert "none.tif" in missing.err
    (tmp_path / "file").write_text("x")
    assert "is a file" in call("ask", "--out", tmp_path / "file").err
