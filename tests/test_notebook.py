"""The viewer in a notebook: what `meeum.view` shows, and the tutorial, run from its first cell to its last."""

import html
import json
import re
from pathlib import Path

import numpy as np
import pytest
from browser import open_page

import meeum

TUTORIAL = Path(__file__).parents[1] / "docs" / "tutorial.ipynb"


def volume(seed=0, shape=(6, 20, 24)):
    return np.random.default_rng(seed).normal(1.337, 0.01, shape).astype(np.float32)


def scene_of(view):
    return json.loads(re.search(r'id="meeum-scene">(.*?)</script>', view.page, re.DOTALL).group(1))


def test_the_frame_holds_the_very_page():
    view = meeum.view(volume(), volume(1))
    shown = re.fullmatch(r'<iframe srcdoc="([^"]*)" style="[^"]*"></iframe>', view._repr_html_())
    assert html.unescape(shown.group(1)) == view.page


def test_a_single_image_is_shown_alone():
    assert list(scene_of(meeum.view(volume()))["images"]) == ["noisy"]
    assert list(scene_of(meeum.view(volume(), volume(1)))["images"]) == ["noisy", "denoised"]


def test_the_places_of_an_audit_can_be_jumped_to():
    noisy = volume(shape=(24, 48, 48))
    clean = np.full_like(noisy, 1.337)
    clean[12, 24, 24] += 0.2
    audit = meeum.audit(noisy, clean)
    found = [list(map(round, place.centre)) for one in audit.findings if one.verdict != "pass" for place in one.places]
    spots = [spot["at"][1:] for spot in scene_of(meeum.view(noisy, clean, audit=audit))["spots"]]
    assert found and sorted(spots) == sorted(found)


def test_what_does_not_fit_is_cut_and_said():
    view = meeum.view(volume(shape=(8, 64, 64)), most_mb=0.01)
    assert "8 × 64 × 64" in scene_of(view)["part"]["sentence"]


def test_images_of_different_shapes_are_refused():
    with pytest.raises(meeum.UsageError, match=r"\(6, 20, 24\).*\(6, 20, 25\)"):
        meeum.view(volume(), volume(shape=(6, 20, 25)))


def test_it_is_saved_and_not_replaced_unasked(tmp_path):
    view = meeum.view(volume())
    path = view.save(tmp_path / "view.html")
    assert path.read_text(encoding="utf-8") == view.page
    with pytest.raises(meeum.UsageError, match="exists"):
        view.save(path)


def test_the_frame_opens_in_a_browser(browser, tmp_path):
    page = tmp_path / "notebook.html"
    page.write_text(f"<!doctype html><body>{meeum.view(volume(), volume(1))._repr_html_()}</body>", encoding="utf-8")
    opened = open_page(browser, page)
    frame = opened.page.frames[1]
    frame.evaluate("meeum.ready")
    assert frame.evaluate("meeum.valueAt('noisy', 0, 2, 3, 4)") == pytest.approx(float(volume()[2, 3, 4]), abs=1e-6)
    assert not opened.problems and not [url for url in opened.left if not url.startswith("about:")]


def test_the_tutorial_runs(tmp_path, monkeypatch):
    nbformat, client = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("MEEUM_TUTORIAL_STEPS", "6")
    book = nbformat.read(TUTORIAL, as_version=4)
    client.NotebookClient(book, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    said = "\n".join(out.get("text", "") for cell in book.cells for out in cell.get("outputs", []))
    assert "dB" in said and "pg" in said
    assert (tmp_path / "cell_denoised.TCF").is_file()
