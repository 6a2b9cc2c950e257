"""Simulated holotomograms with known truth: cells, the optics' band limit and missing cone, noise and artefacts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from meeum.errors import UsageError
from meeum.volume import Region, Volume

Array = NDArray[Any]
Shape = tuple[int, int, int]
Triple = tuple[float, float, float]
Rng = np.random.Generator
RI_INCREMENT = 0.19  # mL/g, which is µm³/pg (Barer 1952)
SOFTNESS_UM = 0.2  # width of every surface


@dataclass(frozen=True)
class Optics:
    """A tomographic set-up: numerical apertures, vacuum wavelength (µm), medium index, voxel size (z, y, x) in µm."""

    name: str
    objective_na: float
    condenser_na: float
    wavelength_um: float
    medium_index: float
    voxel_size_um: Triple
    condenser_inner_na: float = 0.0  # 0 fills the condenser; its full aperture makes the illumination a scanned circle


@dataclass(frozen=True)
class PhantomSettings:
    """What is simulated; amplitudes are in refractive index, periods in pixels, drift in pixels per frame along x."""

    optics: str | Optics = "ht-2h"
    cells: int = 1
    droplets_per_cell: int = 10
    noise_std: float = 4e-4
    noise_colour: str | Callable[[Array], Array] = "optical"  # optical support -> power spectrum, both (Z, Y, X)
    clip_non_negative: bool = False
    lattice_amplitude: float = 0.0
    lattice_period: float = 9.14
    fringe_amplitude: float = 0.0
    quantise: bool = False
    frames: int = 1
    drift: float = 0.0

    def __post_init__(self) -> None:
        for name, least in LEAST.items():
            if getattr(self, name) < least:
                raise UsageError(f"phantom {name}: expected {least} or more, was given {getattr(self, name)}")


@dataclass(frozen=True)
class Sphere:
    """A droplet or vacuole in the first frame; (z, y, x), µm counted from the centre of voxel (0, 0, 0)."""

    centre_voxel: tuple[int, int, int]
    centre_um: Triple
    radius_um: float
    refractive_index: float


@dataclass(frozen=True)
class Phantom:
    """A simulated measurement and all that is known of it; arrays are (Z, Y, X), or (T, Z, Y, X) of several frames.

    `object` is the sharp specimen, `truth` what the optics pass of it, as a perfect denoiser would return it: free of
    noise, artefacts and rounding, clipped if `noisy` is. `noise_std` is of the noise alone, `dry_mass_pg` of `object`.
    """

    truth: Volume
    object: Volume
    noisy: Volume
    noise_std: float
    dry_mass_pg: float
    droplets: tuple[Sphere, ...]
    vacuoles: tuple[Sphere, ...]
    cell_mask: NDArray[np.bool_]
    optics: Optics
    settings: PhantomSettings


def make(shape: Shape = (32, 96, 96), *, seed: int | Rng = 0, settings: PhantomSettings | None = None) -> Phantom:
    """A phantom of `shape` (Z, Y, X); its cells depend on the seed, whatever the noise and the artefacts.

    Space is periodic: no energy of the truth lies outside the optical support. Maximum projections give 2D images.
    """
    if len(shape) != 3 or min(shape) < 8:
        raise UsageError(f"phantom shape: expected (Z, Y, X), each at least 8, was given {shape}; try (32, 96, 96)")
    chosen = settings or PhantomSettings()
    optics: Optics = _named(chosen.optics, OPTICS, "optics")
    cell_rng, noise_rng = np.random.default_rng(seed).spawn(2)
    index, mask, droplets, vacuoles = _specimen(shape, optics, chosen, cell_rng)
    mass = float((index[mask] - optics.medium_index).sum() * np.prod(optics.voxel_size_um) / RI_INCREMENT)
    support = optical_support(shape, optics)
    image = _filtered(index - optics.medium_index, support) + np.float32(optics.medium_index)
    shifts = [round(chosen.drift * time) for time in range(chosen.frames)]  # one frame is squeezed to (Z, Y, X)
    truth, sharp, masks = (np.squeeze([np.roll(v, n, axis=-1) for n in shifts]) for v in (image, index, mask))
    noisy = _measured(truth, support, chosen, noise_rng)
    truth = np.maximum(truth, optics.medium_index) if chosen.clip_non_negative else truth
    axes, unit = "ZYX" if chosen.frames == 1 else "TZYX", "refractive index"
    volume = Volume(noisy, axes, optics.voxel_size_um, unit, optics.medium_index, details={"phantom": optics.name})
    known, specimen = volume.with_data(truth), volume.with_data(sharp.astype(np.float32))
    return Phantom(known, specimen, volume, chosen.noise_std, mass, droplets, vacuoles, masks, optics, chosen)


def optical_support(shape: tuple[int, ...], optics: Optics) -> NDArray[np.bool_]:
    """Spatial frequencies (Z, Y, X), in FFT order, that reach the image: the mean does, the missing cone does not.

    First-order scattering passes K = k_out - k_in, both on the Ewald sphere, k_out inside the objective and k_in
    inside the condenser (Wolf 1969; Sung et al. 2009). So k_in = w - K/2 with w across K, and as w turns about K its
    axial part runs over ±reach, reach = sqrt(k² - K²/4) K_lateral/|K|; each aperture bounds that part on one side.
    The index is real, so the mirror image belongs to it. Frequencies are per wavelength: the sphere's radius is n.
    """
    steps = np.array(optics.voxel_size_um) / optics.wavelength_um
    z, y, x = np.ix_(*[scipy.fft.fftfreq(size, step) for size, step in zip(shape, steps, strict=True)])
    n, lateral = optics.medium_index, np.hypot(y, x)
    length = np.maximum(np.hypot(z, lateral), 1e-12)
    reach = np.sqrt(np.maximum(n**2 - length**2 / 4, 0)) * lateral / length
    apertures = [optics.objective_na, optics.condenser_na, optics.condenser_inner_na]
    least_out, least_in, most_in = np.sqrt(np.maximum(n**2 - np.square(apertures), 0))
    support = np.zeros(shape, dtype=bool)
    for kz in (z, -z):
        low = np.maximum(np.maximum(least_in + kz / 2, least_out - kz / 2), -reach)
        support |= (low <= np.minimum(most_in + kz / 2, reach)) & (length < 2 * n)
    support[0, 0, 0] = True
    return support


def coloured_noise(power: Array, rng: Rng) -> NDArray[np.float32]:
    """Gaussian noise of expected variance 1 with the power spectrum `power`, (Z, Y, X) in FFT order, of any scale."""
    return _filtered(rng.standard_normal(power.shape, dtype=np.float32), np.sqrt(power / power.mean()))


def _named(choice: Any, known: dict[str, Any], setting: str) -> Any:
    if isinstance(choice, str) and choice not in known:
        raise UsageError(f"phantom {setting}: {choice!r} is not known; known are {', '.join(known)}")
    return known[choice] if isinstance(choice, str) else choice


def _filtered(values: Array, gain: Array) -> NDArray[np.float32]:
    spectrum = scipy.fft.rfftn(values) * gain[..., : values.shape[-1] // 2 + 1]
    return np.asarray(scipy.fft.irfftn(spectrum, s=values.shape), dtype=np.float32)


def _measured(truth: Array, support: Array, settings: PhantomSettings, rng: Rng) -> Array:
    power = _named(settings.noise_colour, NOISE_COLOURS, "noise_colour")(support)
    artefact_rng, *frame_rngs = rng.spawn(1 + settings.frames)
    noise = np.squeeze([coloured_noise(np.broadcast_to(power, support.shape), frame_rng) for frame_rng in frame_rngs])
    values = truth + settings.noise_std * noise + _artefacts(support.shape, settings, artefact_rng)
    if settings.clip_non_negative:
        values = np.maximum(values, _named(settings.optics, OPTICS, "optics").medium_index)
    return np.asarray(np.rint(values * 1e4) / 1e4 if settings.quantise else values, dtype=np.float32)


def _artefacts(shape: tuple[int, ...], settings: PhantomSettings, rng: Rng) -> Array:
    """A square lattice, and oblique fringes as of parasitic interference; the same in every frame."""
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    *shifts, shift = rng.uniform(0, 2 * np.pi, 3)
    angle, period = rng.uniform(0.2, 1.3), max(8, shape[-1] / 6)
    lattice = sum(np.cos(2 * np.pi * a / settings.lattice_period + s) for a, s in zip((y, x), shifts, strict=True))
    fringes = np.cos(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle) + z / 3) / period + shift)
    return np.asarray(settings.lattice_amplitude * lattice + settings.fringe_amplitude * fringes)


def _depth(shape: tuple[int, ...], voxel: Triple, centre: Array, radii: Array) -> tuple[Region, Array]:
    """A box around an ellipsoid and, for its voxels, the depth under its surface; in µm, negative outside."""
    low = np.maximum((centre - 1.3 * radii - 0.2) // voxel, 0).astype(int)
    high = np.minimum((centre + 1.3 * radii + 0.2) // voxel + 2, shape).astype(int)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    squares = [((s * v - c) / r) ** 2 for s, v, c, r in zip(np.ogrid[box], voxel, centre, radii, strict=True)]
    return box, (1 - np.sqrt(squares[0] + squares[1] + squares[2])) * radii.min()


def _cell(centre: Array, radii: Array, rng: Rng) -> list[tuple[Array, Array, float, float]]:
    """Membrane, cytoplasm, nuclear envelope, nucleus, nucleoli: centre, radii (µm), mean index and its deviation."""
    cytoplasm = rng.uniform(1.363, 1.37)
    hub, core = centre + radii * rng.uniform(-0.3, 0.3, 3) * [0.2, 1, 1], radii * [0.62, 0.5, 0.5]
    parts = [
        (centre, radii, cytoplasm + 0.004, 0.0),
        (centre, 0.94 * radii, cytoplasm, 0.0035),
        (hub, core, cytoplasm + 0.005, 0.002),
        (hub, 0.93 * core, rng.uniform(1.353, 1.358), 0.0015),
    ]
    for _ in range(rng.integers(1, 4)):
        place = hub + core * rng.uniform(-0.35, 0.35, 3)
        parts.append((place, rng.uniform(0.2, 0.34, 3) * core.min(), rng.uniform(1.378, 1.39), 0.0))
    return parts


def _specimen(shape: Shape, optics: Optics, settings: PhantomSettings, rng: Rng) -> tuple[Any, ...]:
    """Refractive index and cell mask, (Z, Y, X), droplets, vacuoles."""
    voxel, size = optics.voxel_size_um, np.array(shape) * optics.voxel_size_um
    cells, medium = settings.cells, optics.medium_index
    index, mask, room = np.full(shape, medium), np.zeros(shape, bool), np.zeros(shape, bool)
    rows = int(np.ceil(np.sqrt(max(cells, 1))))
    radius = min(7.0, 0.4 * size[1:].min() / rows)
    # Whittle-Matérn fields, as the index of tissue fluctuates (Rogers et al. 2014)
    z, y, x = np.ix_(*[(2 * np.pi * scipy.fft.fftfreq(n, v)) ** 2 for n, v in zip(shape, voxel, strict=True)])
    texture, bumps = (coloured_noise((1 + a**2 * (z + y + x)) ** -2.5, rng) for a in (0.3, radius / 2))
    for slot in rng.permutation(rows**2)[:cells]:
        centre = size * np.add([(rows - 1) / 2, slot // rows, slot % rows], rng.uniform(0.45, 0.55, 3)) / rows
        radii = np.minimum(radius * rng.uniform([0.6, 0.8, 0.8], [0.7, 1, 1]), [0.33 * size[0], np.inf, np.inf])
        drawn = []
        for place, extent, value, deviation in _cell(centre, radii, rng):
            box, depth = _depth(shape, voxel, place, extent)
            depth += 0.05 * radius * bumps[box]
            index[box] += np.clip(depth / SOFTNESS_UM + 0.5, 0, 1) * (value + deviation * texture[box] - index[box])
            drawn.append((box, depth))
        (body, inside), (core, within) = drawn[0], drawn[2]
        mask[body] |= inside > 0
        room[body] |= inside > 0.25 * radii.min()
        room[core] &= within < -0.2 * radii.min()
    vacuoles = rng.uniform([0.11, -0.006], [0.14, -0.003], (cells, 2)) * [radius, 1] + [0.1, medium]
    droplets = rng.uniform([0.02, 1.4], [0.07, 1.48], (cells * settings.droplets_per_cell, 2)) * [radius, 1] + [0.1, 0]
    hollow, lipid = (_spheres(index, room, voxel, plan, rng) for plan in (vacuoles, droplets))
    return index, mask, lipid, hollow


def _spheres(index: Array, room: Array, voxel: Triple, plan: Array, rng: Rng) -> tuple[Sphere, ...]:
    """Paints the spheres of `plan`, rows (radius in µm, index), where there is room, which they take away."""
    placed = []
    for radius, value in plan:
        if not room.any():
            break
        site = rng.choice(np.argwhere(room))
        box, depth = _depth(room.shape, voxel, site * voxel, np.full(3, 2 * radius + SOFTNESS_UM))
        index[box] += np.clip((depth - radius) / SOFTNESS_UM - 0.5, 0, 1) * (value - index[box])
        room[box] &= depth < 0
        placed.append(Sphere(tuple(site.tolist()), tuple((site * voxel).tolist()), radius, value))
    return tuple(placed)


OPTICS = {
    "ht-2h": Optics("ht-2h", 1.2, 1.2, 0.532, 1.337, (0.19, 0.095, 0.095)),
    "ht-x1": Optics("ht-x1", 0.95, 0.54, 0.449, 1.337, (0.84, 0.196, 0.196)),
}
NOISE_COLOURS: dict[str, Callable[[Array], Array]] = {
    "white": lambda support: np.ones(support.shape),
    "optical": lambda support: support + 0.01,  # the camera's share: white, at 1 % of the density in the support
    # streaks: an autoregressive process along x whose neighbours correlate by 0.8
    "directional": lambda support: 1 / (1.64 - 1.6 * np.cos(2 * np.pi * scipy.fft.fftfreq(support.shape[-1]))),
}
LEAST = {"cells": 0, "droplets_per_cell": 0, "noise_std": 0, "lattice_period": 2, "frames": 1}
