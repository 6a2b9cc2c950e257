"""The judge: what becomes of findings, of measures that cannot tell, and of a denoiser that takes too long."""

import json
import math
import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import meeum
from meeum import api, phantom
from meeum.auditing import Finding, Picture, Place, gather, judge
from meeum.auditing.finding import NEEDS_DENOISER, decide, seen_from, unseen_below
from meeum.auditing.judge import MEASURES, OutOfTimeError, bounded, guarded, unjudged
from meeum.auditing.table import SYMBOLS, table
from meeum.errors import MeeumError
from meeum.volume import Volume

DOCUMENT = Path(__file__).parents[1] / "docs" / "audit.md"
SHAPE = (12, 32, 32)


def finding(measure="lattice", verdict="pass", **more):
    facts = {
        "measure": measure,
        "title": f"title of {measure}",
        "value": 0.0123456,
        "unit": "of the noise",
        "ideal": 0.0,
        "worse": "above",
        "effect": 0.01,
        "effect_unit": "of the noise",
        "bound": 0.02,
        "verdict": verdict,
        "sentence": f"What {measure} says.",
    }
    return Finding(**(facts | more))


def saying(*verdicts):
    """A measure with one finding per verdict."""
    return lambda pair: [finding("fake", verdict) for verdict in verdicts]


@pytest.fixture(scope="module")
def pair():
    made = phantom.make(SHAPE, seed=0)
    return gather(made.noisy, made.truth)


def test_the_gravest_finding_that_could_tell_is_the_verdict_unless_most_could_not(pair):
    for verdicts, expected in (
        ((), "cannot tell"),
        (("pass", "pass"), "pass"),
        (("pass", "cannot tell"), "pass"),
        (("pass", "cannot tell", "cannot tell"), "cannot tell"),
        (("warn", "cannot tell", "cannot tell"), "warn"),
        (("cannot tell", "warn", "pass"), "warn"),
        (("warn", "fail", "cannot tell"), "fail"),
    ):
        assert judge(pair, {"fake": saying(*verdicts)}).verdict == expected


def test_findings_of_all_measures_are_kept_in_order_and_graded(pair):
    measures = {"one": saying("pass", "warn"), "two": saying("cannot tell", "fail", "pass")}
    audit = judge(pair, measures)
    assert [one.verdict for one in audit.findings] == ["pass", "warn", "cannot tell", "fail", "pass"]
    assert [one.verdict for one in audit.graded] == ["fail", "warn", "cannot tell", "pass", "pass"]
    assert audit.counts == {"fail": 1, "warn": 1, "cannot tell": 1, "pass": 2}
    assert audit.sentence == "1 failed, 1 worth a warning, 1 could not be told, 2 passed"
    assert list(audit.timings) == ["one", "two"]
    assert (audit.voxels, audit.coverage, audit.sampling, audit.asked) == (12 * 32 * 32, 1.0, "all voxels", False)


@pytest.mark.parametrize("error", [MeeumError("the image is too small"), MemoryError()])
def test_a_measure_that_cannot_be_taken_cannot_tell(error, pair):
    def broken(pair):
        raise error

    audit = judge(pair, {"beads": broken, "fine": saying("pass")})
    first, second = audit.findings
    assert (first.measure, first.verdict, second.verdict) == ("beads", "cannot tell", "pass")
    assert first.reason == (str(error) or "not enough memory for this measure")
    assert math.isnan(first.value)


def test_a_mistake_in_a_measure_is_not_hidden(pair):
    with pytest.raises(ZeroDivisionError):
        judge(pair, {"broken": lambda pair: [1 / 0]})


def test_a_denoiser_is_asked_until_its_time_is_up():
    asked = []
    ask = bounded(lambda values: asked.append(1) or values, 10.0, per_voxel=0.004)
    assert ask(np.ones((50, 50))).sum() == 2500  # 10 s at 4 ms a voxel
    with pytest.raises(OutOfTimeError, match="longer than the 10 s it has here"):
        bounded(lambda values: asked.append(1) or values, 10.0, per_voxel=0.005)(np.ones((50, 50)))
    assert len(asked) == 1


def test_what_the_denoiser_took_counts_and_not_what_was_expected(monkeypatch):
    ask = bounded(lambda values: values, 10.0)
    clock = iter([0.0, 4.0, 4.0, 8.0])
    with monkeypatch.context() as patch:
        patch.setattr(time, "perf_counter", lambda: next(clock))
        ask(np.ones((5, 5)))
        ask(np.ones((5, 5)))
        with pytest.raises(OutOfTimeError):  # 8 s are gone, and 4 more are to be expected
            ask(np.ones((5, 5)))


def test_without_time_left_a_measure_does_what_it_can_without_the_denoiser(pair):
    def measure(pair):
        if pair.denoise is None:
            return [finding("shift", "cannot tell", reason=NEEDS_DENOISER)]
        return [finding("shift", "pass") for _ in [pair.denoise(pair.pieces[0].noisy)]]

    quick, slow = (replace(pair, denoise=bounded(lambda values: values, 10.0, per_voxel=rate)) for rate in (1e-9, 1.0))
    assert [one.verdict for one in judge(quick, {"shift": measure}).findings] == ["pass"]
    audit = judge(slow, {"shift": measure})
    assert audit.asked
    assert audit.findings[0].verdict == "cannot tell"
    spent = "asking the denoiser would take longer than the 10 s it has here; without limit it is asked by `meeum audit"
    assert audit.findings[0].reason.startswith(spent)

    def dark(pair):
        return pair.denoise(pair.pieces[0].noisy) if pair.denoise else [finding("x", reason="it is dark")]

    assert judge(slow, {"x": dark}).findings[0].reason == "it is dark"  # which asking would not change


def test_a_pass_of_which_much_could_not_be_told_has_not_its_colour(pair):
    for untold, tone in ((5, "pass"), (6, "cannot tell")):
        audit = judge(pair, {"fake": saying(*["pass"] * 10, *["cannot tell"] * untold)})
        assert (audit.verdict, audit.tone) == ("pass", tone)
    assert judge(pair, {"fake": saying("warn", "cannot tell")}).tone == "warn"


def test_guarded_measures_are_all_of_them(pair):
    assert list(guarded()) == list(MEASURES)
    (only,) = guarded({"sulks": lambda pair: (_ for _ in ()).throw(MeeumError("no"))})["sulks"](pair)
    assert (only.verdict, only.reason) == ("cannot tell", "no")


def keys(value, path=""):
    """Every key of nested JSON, with its path."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield f"{path}{key}"
            yield from keys(item, f"{path}{key}.")
    if isinstance(value, list):
        for item in value:
            yield from keys(item, path)


def test_json_is_plain_versioned_and_documented(pair):
    place = Place(0, (1.0, 2.0, 3.0), 4.0, -5.0)
    picture = Picture("where", np.zeros((4, 4)), "of the noise")
    failed = finding("inversion", "fail", places=(place,), picture=picture, p_value=1e-5, details={"n": np.int64(3)})
    audit = judge(pair, {"inversion": lambda pair: [failed]})
    told = json.loads(json.dumps(audit.as_dict(), allow_nan=False))
    assert (told["version"], told["verdict"], told["counts"]["fail"]) == (2, "fail", 1)
    assert (told["axes"], told["shape"], told["quantity"]) == ("ZYX", list(SHAPE), "refractive index")
    (one,) = told["findings"]
    assert one["places"] == [{"frame": 0, "centre": [1.0, 2.0, 3.0], "radius": 4.0, "strength": -5.0}]
    assert (one["p_value"], one["interval"], one["limit"], one["details"]) == (1e-5, [None, None], None, {"n": 3})
    assert "picture" not in one
    assert told["noise"]["std"] == pytest.approx(pair.noise.std)
    assert told["noise"]["correlation"]["x"] == pytest.approx(pair.noise.lag(2))
    text = DOCUMENT.read_text(encoding="utf-8")
    own = {"timings", "details", "counts"}  # their keys are measures, what each measure adds, and verdicts
    for path in keys(told):
        if path.split(".")[-2:-1] and path.split(".")[-2] in own | {"correlation"}:
            continue
        assert f"`{path.split('.')[-1]}`" in text, path


def test_every_measure_is_documented():
    text = DOCUMENT.read_text(encoding="utf-8")
    assert MEASURES
    for name in MEASURES:
        assert f"`{name}`" in text, name


def test_every_sentence_is_one(pair):
    audits = judge(pair), judge(replace(pair, denoise=lambda values: values))
    for one in (one for audit in audits for one in audit.findings):
        assert one.sentence[0].isupper() or one.sentence[0].isdigit(), one.sentence
        assert one.sentence.endswith(".") and not re.search(r"would have been\.|\binf\b|\bnan\b", one.sentence)


def test_what_would_have_been_seen_is_said_where_it_is_known():
    assert seen_from("Any of", 0.0123) == " Any of 0.012 times the noise or more would have been seen."
    assert seen_from("Any of", math.inf) == seen_from("Any of", math.nan) == seen_from("Any of", 0.0) == ""
    assert unseen_below("stripes", 0.1) == "stripes of less than 0.1 times the noise would not have been seen"
    assert unseen_below("stripes", math.inf) == "stripes of any strength could have gone unseen"


def test_nothing_judged_says_why():
    image = Volume(np.ones((8, 8), np.float32), "YX")
    audit = unjudged(image, image, "the image is constant")
    assert (audit.verdict, audit.sentence) == ("cannot tell", "nothing could be judged: the image is constant")
    assert audit.as_dict()["noise"] is None


def test_the_table_is_graded_and_told_without_colours(pair):
    both = finding("one", "pass", interval=(0.01, 0.0149)), finding("two", "fail", value=math.nan, reason="no edges")
    lines = table(judge(pair, {"fake": lambda pair: list(both)}))
    assert [(line.symbol, line.verdict, line.title) for line in lines] == [
        (SYMBOLS["fail"], "fail", "title of two"),
        (SYMBOLS["pass"], "pass", "title of one"),
    ]
    assert len(set(SYMBOLS.values())) == 4
    assert (lines[1].value, lines[1].ideal) == ("0.0123 (0.0100 to 0.0149) of the noise", "0")
    assert lines[0].value == "–"
    assert lines[0].sentence == "What two says. Why: no edges."


@pytest.mark.parametrize(
    ("value", "interval", "words"),
    [
        (1.0014, (0.9996, 1.0032), "1.0014 (0.9996 to 1.0032)"),
        (1.0014, (0.81, 1.22), "1.00 (0.81 to 1.22)"),
        (-0.0001, (-0.012, 0.011), "0.000 (-0.012 to 0.011)"),
        (4.18e-06, (-4.91e-06, 1.76e-05), "4.18e-06 (-4.91e-06 to 1.76e-05)"),
        (1234.5, (1000.0, 1500.0), "1230 (1000 to 1500)"),
        (0.79, (0.013, 47.0), "0.8 (0.0 to 47.0)"),
        (0.999, (0.999, 0.999), "0.999"),
    ],
)
def test_numbers_have_the_digits_that_their_interval_allows(value, interval, words, pair):
    one = finding(value=value, interval=interval, unit="")
    assert table(judge(pair, {"one": lambda pair: [one]}))[0].value == words


def test_the_verb_takes_volumes_arrays_and_paths(tmp_path):
    made = phantom.make(SHAPE, seed=1)
    expected = [one.measure for one in meeum.audit(made.noisy, made.truth).findings]
    arrays = made.noisy.read(), made.truth.read()
    assert meeum.audit(*arrays).noisy.axes == "ZYX"
    for name, values in zip(("noisy", "clean"), arrays, strict=True):
        np.save(tmp_path / f"{name}.npy", values)
    audit = meeum.audit(tmp_path / "noisy.npy", str(tmp_path / "clean.npy"))
    assert set(expected) <= {one.measure for one in audit.findings} | set(expected)
    assert audit.denoised.name == "clean.npy"
    with pytest.raises(MeeumError, match="cannot be compared"):
        meeum.audit(arrays[0], arrays[1][:4])
    with pytest.raises(MeeumError, match="axes"):
        meeum.audit(np.ones(5), np.ones(5))
    assert meeum.audit is api.audit
    assert api.audit is not None


def test_the_noise_may_be_given():
    made = phantom.make(SHAPE, seed=2)
    known = meeum.measure_noise(made.noisy)
    assert api.audit(made.noisy, made.truth, noise=known).noise is known


@pytest.mark.parametrize(
    ("effect", "facts", "verdict"),
    [
        (math.nan, {}, "cannot tell"),
        (0.03, {}, "fail"),
        (0.015, {}, "warn"),
        (0.01, {}, "pass"),
        (0.03, {"p_value": 1e-4}, "fail"),
        (0.03, {"p_value": 5e-3}, "warn"),
        (0.015, {"p_value": 1e-9}, "warn"),
        (0.03, {"p_value": 0.5, "limit": 0.01}, "pass"),
        (0.03, {"p_value": 0.5, "limit": 0.03}, "cannot tell"),
        (0.009, {"p_value": 1e-9, "limit": 0.01}, "pass"),
    ],
)
def test_a_verdict_needs_an_effect_that_matters_and_no_doubt(effect, facts, verdict):
    assert decide(effect, 0.02, **facts) == verdict
