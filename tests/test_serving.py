"""The server: planes equal what the files hold, however coarse; nothing else is answered, and little memory is used."""

import http.client
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import h5py
import numpy as np
import pytest
from command import call
from hypothesis import given, settings
from hypothesis import strategies as st

from meeum import io, serving
from meeum.errors import UsageError
from meeum.serving import planes, window
from meeum.serving.asking import asked
from meeum.serving.cache import Cache
from meeum.serving.planes import Asked, Plane, plane
from meeum.volume import Volume

AXES = {"z": 1, "y": 2, "x": 3}
tiny = settings(max_examples=40, deadline=None)


@pytest.fixture(scope="module")
def film() -> Volume:
    """(T, Z, Y, X) with voxels that were never measured."""
    values = np.random.default_rng(0).normal(1.34, 0.01, (2, 7, 50, 61)).astype(np.float32)
    values[:, :, :5, :5] = 0
    return Volume(values, "TZYX", voxel_size_um=(0.3, 0.1, 0.1), quantity="refractive index", no_data=0.0)


def by_hand(volume: Volume, wish: Asked, step: int) -> np.ndarray:
    """The same plane from the whole array, pixel by pixel."""
    values = volume.read()[wish.t].astype(np.float64)
    values[values == 0] = np.nan
    if wish.axis == "max":
        with np.errstate(invalid="ignore"):
            flat = np.fmax.reduce(values, axis=0)
    else:
        flat = np.take(values, wish.index, axis=AXES[wish.axis] - 1)
    rows, columns = wish.rows or (0, flat.shape[0]), wish.columns or (0, flat.shape[1])
    flat = flat[slice(*rows), slice(*columns)]
    made = np.full([-(-n // step) for n in flat.shape], np.nan)
    for row, column in np.ndindex(*made.shape):
        block = flat[row * step : (row + 1) * step, column * step : (column + 1) * step]
        if np.isfinite(block).any():
            made[row, column] = block[np.isfinite(block)].mean()
    return made


# Planes


@given(data=st.data())
@tiny
def test_plane_is_what_the_whole_array_says(film: Volume, data: st.DataObject) -> None:
    axis = data.draw(st.sampled_from(sorted(planes.SIDES)))
    sizes = planes.dimensions(film)

    def part(letter: str) -> st.SearchStrategy[tuple[int, int] | None]:
        ends = st.tuples(st.integers(0, sizes[letter] - 1), st.integers(1, sizes[letter]))
        return st.none() | ends.filter(lambda pair: pair[0] < pair[1])

    wish = Asked(
        "noisy",
        axis,
        index=data.draw(st.integers(0, sizes.get(axis.upper(), 1) - 1)),
        t=data.draw(st.integers(0, 1)),
        most=data.draw(st.integers(1, 80)),
        rows=data.draw(part(planes.SIDES[axis][0])),
        columns=data.draw(part(planes.SIDES[axis][1])),
    )
    found = plane([film], wish, Lock())
    expected = by_hand(film, wish, found.step)
    assert found.values.dtype == np.float32
    np.testing.assert_allclose(found.values, expected, rtol=1e-6)
    assert max(found.values.shape) <= wish.most
    sides = (
        sizes[letter] if ends is None else ends[1] - ends[0]
        for letter, ends in zip(planes.SIDES[axis], (wish.rows, wish.columns), strict=True)
    )
    longest = max(sides)
    assert found.step == 1 or -(-longest // (found.step // 2)) > wish.most  # no coarser than need be


def test_bands_join_without_a_seam(film: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    wishes = [Asked("noisy", axis, index=3, most=most) for axis in planes.SIDES for most in (80, 20)]
    whole = [plane([film], wish, Lock()) for wish in wishes]
    monkeypatch.setattr(planes, "AT_ONCE", 1)
    monkeypatch.setattr(planes, "BAND", 4)
    for wish, before in zip(wishes, whole, strict=True):
        np.testing.assert_array_equal(plane([film], wish, Lock()).values, before.values)


def test_flat_image_has_every_plane() -> None:
    image = Volume(np.arange(12, dtype=np.float32).reshape(3, 4), "YX")
    np.testing.assert_array_equal(plane([image], Asked("noisy", "z"), Lock()).values, image.data)
    np.testing.assert_array_equal(plane([image], Asked("noisy", "y", index=1), Lock()).values, [[4, 5, 6, 7]])
    np.testing.assert_array_equal(plane([image], Asked("noisy", "x", index=1), Lock()).values, [[1, 5, 9]])
    np.testing.assert_array_equal(plane([image], Asked("noisy", "max"), Lock()).values, image.data)


def test_coarser_levels_are_used_where_they_lose_nothing(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(3, 600, 520)).astype(np.float32)
    levels = io.read_levels(io.write(Volume(values, "ZYX", voxel_size_um=(0.2, 0.1, 0.1)), tmp_path / "a.zarr"))
    assert [level.shape for level in levels] == [(3, 600, 520), (3, 300, 260), (2, 150, 130)]
    spied: list[str] = []

    class Spied:
        def __init__(self, name: str, level: Volume) -> None:
            self.name, self.data, self.shape, self.dtype = name, level.data, level.shape, level.data.dtype

        def __getitem__(self, region: object) -> np.ndarray:
            spied.append(self.name)
            return self.data[region]

    watched = [level.with_data(Spied(str(number), level)) for number, level in enumerate(levels)]
    for wish, name in [
        (Asked("noisy", "z", index=2, most=600), "0"),
        (Asked("noisy", "z", index=2, most=300), "1"),
        (Asked("noisy", "z", index=2, most=150), "1"),  # level 2 averages planes too, so it is not this plane
        (Asked("noisy", "z", index=2, most=300, rows=(1, 600)), "0"),  # its blocks begin elsewhere
        (Asked("noisy", "y", index=2, most=300), "0"),
        (Asked("noisy", "max", most=300), "0"),
    ]:
        spied.clear()
        found = plane(watched, wish, Lock())
        assert set(spied) == {name}, wish
        np.testing.assert_allclose(found.values, plane(levels[:1], wish, Lock()).values, atol=1e-6)


def test_large_file_is_never_held(tmp_path: Path) -> None:
    """1.9 GiB and a maximum of 12 planes, in pieces of 8 MiB."""
    with h5py.File(tmp_path / "large.h5", "w") as file:
        stack = file.create_dataset("input", (500, 1000, 1000), "f4", chunks=(10, 250, 250), fillvalue=1.5)
        stack[250, 500, 500] = 7
    image = io.read(tmp_path / "large.h5")
    largest = []

    class Counting:
        shape, dtype = image.shape, image.data.dtype

        def __getitem__(self, region: tuple[slice, ...]) -> np.ndarray:
            values = image.data[region]
            largest.append(values.size)
            return values

    watched = [image.with_data(Counting())]
    for axis, index in (("z", 250), ("y", 500), ("x", 500)):
        found = plane(watched, Asked("noisy", axis, index=index, most=512), Lock())
        assert np.nanmax(found.values) == pytest.approx(1.5 + 5.5 / found.step**2)
    part = Asked("noisy", "max", rows=(490, 510), columns=(490, 510))
    assert np.nanmax(plane(watched, part, Lock()).values) == 7
    assert max(largest) <= planes.AT_ONCE


def test_first_window_comes_from_the_middle(film: Volume) -> None:
    (low, high), residual = window.limits({"noisy": [film]})
    assert low < 1.31 < 1.37 < high < 1.5
    assert residual == 1e-6  # there is nothing to subtract
    other = film.with_data(np.where(film.data == 0, 0, film.data + np.float32(0.5)))
    (low, high), residual = window.limits({"noisy": [film], "denoised": [other]})
    assert low < 1.84 < high and low > 1.34
    assert residual == pytest.approx(0.5, rel=1e-3)
    empty = Volume(np.zeros((2, 3), np.float32), "YX", no_data=0.0)
    (low, high), residual = window.limits({"noisy": [empty]})
    assert low < 0 < 1 < high and residual > 0


# What may be asked


def test_words_of_a_request() -> None:
    query = "image=denoised&axis=y&index=12&t=3&max=256&rows=1:20&columns=0:7"
    wish = asked(query, ("noisy", "denoised"))
    assert wish == Asked("denoised", "y", 12, 3, 256, (1, 20), (0, 7))
    assert asked("image=noisy", ("noisy",)) == Asked("noisy", "z")


@pytest.mark.parametrize(
    "query",
    [
        "image",
        "image=../../etc/passwd",
        "image=denoised",
        "axis=q",
        "index=-1",
        "index=1.5",
        "index=99999999999999999999",
        "index=%D9%A1",
        "index=7",
        "t=1",
        "max=0",
        "max=x",
        "rows=3",
        "rows=3:2",
        "rows=0:99",
        "rows=-1:2",
        "columns=:4",
        "axis=z&axis=y",
        "file=/etc/passwd",
        "image=noisy&" * 40,
    ],
)
def test_bad_requests_are_told_what_would_work(query: str) -> None:
    image = Volume(np.zeros((4, 5), np.float32), "YX")
    with pytest.raises(UsageError) as told:
        plane([image], asked(query, ("noisy",)), Lock())
    assert re.search(r"known are|expected|there are", str(told.value))


def test_cache_keeps_the_last_planes() -> None:
    kept, made = Cache(most_bytes=100), []

    def get(index: int) -> Plane:
        def make() -> Plane:
            made.append(index)
            return Plane(np.zeros((2, 5), np.float32), 1)

        return kept.get(Asked("noisy", "z", index=index), make)

    for index in (0, 1, 0, 2, 0, 1):  # room for two
        get(index)
    assert made == [0, 1, 2, 1]
    assert kept.bytes == 80


# The server


@contextmanager
def served(exhibit: serving.Exhibit) -> Iterator[serving.Server]:
    with serving.listen(exhibit) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def ask(
    server: serving.Server, path: str, *, method: str = "GET", host: str | None = None
) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host if host is not None else f"127.0.0.1:{server.server_port}")
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers, body


@pytest.fixture(scope="module")
def pair(film: Volume, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("pair")
    clean = film.with_data(film.data * np.float32(0.5))
    io.write(film, place / "film.h5", noisy=clean)
    io.write(film, place / "noisy.zarr")
    return place


def test_planes_over_http(pair: Path, film: Volume) -> None:
    with served(serving.files(pair / "film.h5")) as server:
        status, headers, body = ask(server, "/plane?image=denoised&axis=y&index=20&t=1")
        values = np.frombuffer(body, "<f4").reshape(int(headers["X-Rows"]), int(headers["X-Columns"]))
        assert (status, headers["X-Step"], values.shape) == (200, "1", (7, 61))
        np.testing.assert_array_equal(values, film.data[1, :, 20])
        _, headers, body = ask(server, "/plane?image=noisy&axis=z&index=3&max=32")
        values = np.frombuffer(body, "<f4").reshape(25, 31)
        assert headers["X-Step"] == "2"
        assert np.isnan(values[0, 0])
        assert values[10, 10] == pytest.approx(0.5 * film.data[0, 3, 20:22, 20:22].mean())
        assert headers["Access-Control-Allow-Origin"] is None
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_page_holds_the_scene(pair: Path) -> None:
    with served(serving.files(pair / "film.h5")) as server:
        status, headers, body = ask(server, "/")
    text = body.decode()
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "connect-src 'self'" in headers["Content-Security-Policy"]
    found = re.search(r'<script type="application/json" id="meeum-scene">(.*?)</script>', text, re.DOTALL)
    assert found
    scene = json.loads(found[1])
    assert scene["source"] == "served"
    assert scene["shape"] == [2, 7, 50, 61]
    assert list(scene["images"]) == ["noisy", "denoised"]
    assert '<div id="meeum-viewer"' in text


def test_one_file_and_two(pair: Path, tmp_path: Path) -> None:
    assert list(serving.files(pair / "noisy.zarr").images()) == ["noisy"]
    assert list(serving.files(pair / "film.h5", choice=serving.Choice(dataset="output")).images()) == ["noisy"]
    both = serving.files(pair / "noisy.zarr", pair / "film.h5").images()
    np.testing.assert_array_equal(both["denoised"][0].read(), both["noisy"][0].read())  # the output, not the input
    np.save(tmp_path / "other.npy", np.zeros((3, 4), np.float32))
    with pytest.raises(UsageError, match=r"other\.npy: YX \(3, 4\) is not the denoised version of noisy\.zarr"):
        serving.files(pair / "noisy.zarr", tmp_path / "other.npy")


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "NONSENSE"])
def test_only_get_is_answered(method: str, pair: Path) -> None:
    with served(serving.files(pair / "noisy.zarr")) as server:
        status, headers, _ = ask(server, "/", method=method)
        assert (status, headers["Allow"]) == (405, "GET")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "", "127.0.0.1", "localhost:1", "0.0.0.0:{port}"]
)
def test_other_hosts_are_refused(host: str, pair: Path) -> None:
    with served(serving.files(pair / "noisy.zarr")) as server:
        for path in ("/", "/plane?image=noisy"):
            status, _, body = ask(server, path, host=host.format(port=server.server_port))
            assert status == 403
            assert len(body) < 60
        assert ask(server, "/", host=f"localhost:{server.server_port}")[0] == 200
        assert server.server_address[0] == "127.0.0.1"


def test_no_path_reaches_the_disk(pair: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pair)
    with served(serving.files(pair / "noisy.zarr")) as server:
        for path in (
            "/film.h5",
            "/../film.h5",
            "/%2e%2e/film.h5",
            "//etc/passwd",
            f"{pair}/film.h5",
            "/live.html",
            "/x",
        ):
            assert ask(server, path)[0] == 404
        status, _, body = ask(server, "/plane?image=noisy&axis=z&index=99")
        assert (status, body) == (400, b"index=99: there are 7, from 0 to 6\n")


def test_damage_is_a_failure_of_the_server(pair: Path, tmp_path: Path, film: Volume) -> None:
    path = io.write(film, tmp_path / "bad.zarr")
    exhibit = serving.files(path)
    for chunk in path.rglob("c/*/*/*/*"):
        chunk.write_bytes(b"rubbish")
    with served(exhibit) as server:
        status, _, body = ask(server, "/plane?image=noisy")
        assert status == 500
        assert b"bad.zarr" in body
        assert ask(server, "/nothing")[0] == 404  # and it goes on


def test_port_that_is_taken(pair: Path) -> None:
    exhibit = serving.files(pair / "noisy.zarr")
    with served(exhibit) as server, pytest.raises(UsageError, match=f"--port {server.server_port}: cannot be"):
        serving.listen(exhibit, port=server.server_port)


# A run


def a_run(place: Path, film: Volume, *names: str) -> Path:
    place.mkdir()
    (place / "command.txt").write_text("meeum denoise film.TCF\n")
    (place / "results").mkdir()
    clean = film.with_data(film.data * np.float32(2))
    if "hdf" in names:
        io.write_frames(place / "results", clean, noisy=film)
    if "zarr" in names:
        io.write(clean, place / "results" / "film_denoised.ome.zarr")
    return place


def test_run_is_shown_from_what_it_wrote(film: Volume, tmp_path: Path) -> None:
    images = serving.run(a_run(tmp_path / "a", film, "hdf", "zarr")).images()
    assert [images[name][0].shape for name in ("noisy", "denoised")] == [film.shape] * 2
    np.testing.assert_array_equal(images["denoised"][0].read(), 2 * images["noisy"][0].read())
    assert images["denoised"][0].name == "film_denoised.ome.zarr"
    alone = serving.run(a_run(tmp_path / "b", film, "zarr")).images()
    assert list(alone) == ["noisy"]
    np.testing.assert_array_equal(alone["noisy"][0].read(), 2 * film.data)


def test_hot_spots_of_the_audit_are_in_the_scene(film: Volume, tmp_path: Path) -> None:
    place = a_run(tmp_path / "a", film, "hdf")
    told = {"title": "values", "verdict": "fail", "places": [{"frame": 1, "centre": [2.4, 3, 4]}]}
    passed = {"title": "edges", "verdict": "pass", "places": [{"frame": 0, "centre": [1, 1, 1]}]}
    (place / "audit.json").write_text(json.dumps({"findings": [told, passed]}))
    with served(serving.run(place)) as server:
        text = ask(server, "/")[2].decode()
    assert '"spots":[{"label":"values","verdict":"fail","at":[1,2,3,4]}]' in text.replace(", ", ",").replace(": ", ":")


def test_run_that_trains_shows_its_live_page(film: Volume, tmp_path: Path) -> None:
    place = tmp_path / "a"
    place.mkdir()
    with pytest.raises(UsageError, match=r"a: is not a meeum run"):
        serving.run(place)
    (place / "command.txt").write_text("meeum denoise film.TCF\n")
    with pytest.raises(UsageError, match="has no results yet"):
        serving.run(place)
    (place / "live.html").write_text("step 3 of 9")
    with served(serving.run(place)) as server:
        assert ask(server, "/")[2] == b"step 3 of 9"
        assert ask(server, "/plane?image=noisy")[0] == 400
        (place / "live.html").write_text("step 4 of 9")
        assert ask(server, "/")[2] == b"step 4 of 9"
        assert ask(server, "/report.html")[0] == 404
        a_run(tmp_path / "b", film, "hdf")
        (tmp_path / "b" / "results").rename(place / "results")
        (place / "report.html").write_text("the report")
        assert b"meeum-viewer" in ask(server, "/")[2]
        assert ask(server, "/report.html")[2] == b"the report"
        assert ask(server, "/plane?image=noisy")[0] == 200


# The command


def test_command_until_ctrl_c(pair: Path) -> None:
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # background jobs are born deaf
    command = [
        sys.executable,
        "-c",
        f"{heard}; from meeum.cli import main; main()",
        "view",
        str(pair / "film.h5"),
        "--no-browser",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        line = process.stdout.readline()
        found = re.search(r"^film\.h5: http://127\.0\.0\.1:(\d+)/ ", line)
        assert found, line
        connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=20)
        connection.request("GET", "/plane?image=denoised")
        answer = connection.getresponse()
        assert (answer.status, len(answer.read())) == (200, 4 * 50 * 61)
        connection.close()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "ended\n", "")


def test_viewing_needs_no_torch(pair: Path) -> None:
    code = f"""
import sys
from meeum import serving
serving.files(__import__("pathlib").Path({str(pair / "film.h5")!r})).page("/")
print([name for name in ("torch", "zarr") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("absent.h5",), "absent.h5: no such file"),
        (("folder",), "folder: is not a meeum run"),
        (("folder", "film.h5"), "folder: a run knows its images"),
        (("folder", "--dataset", "input"), "folder: a run knows its images"),
        (("film.h5", "--port", "1"), "--port 1: cannot be listened on"),
    ],
)
def test_what_cannot_be_shown(words: tuple[str, ...], told: str, pair: Path, tmp_path: Path, monkeypatch) -> None:
    import os

    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "film.h5").symlink_to(pair / "film.h5")
    if "--port" in words and os.geteuid() == 0:
        pytest.skip("an administrator may listen on any port")
    outcome = call("view", *words, "--no-browser")
    assert outcome.code == 2
    assert told in outcome.err
