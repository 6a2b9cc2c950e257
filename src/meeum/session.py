"""A training session: from images and settings to all that the training loop needs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from meeum import pace, training, views
from meeum.checkpoint import Model
from meeum.errors import UsageError
from meeum.networks import NETWORKS, Shape, build, halvings, place
from meeum.noise import Noise
from meeum.objectives import OBJECTIVES, Objective, Subject, error_left
from meeum.patches import Pool, draw, judged, load, measure
from meeum.routing import fitting, route
from meeum.settings import Settings, completed
from meeum.training import Progress, State
from meeum.volume import Volume

Ints = tuple[int, ...]

SAME = 1e-5  # of an image's scale: by so much may its mean and scale differ when they are measured again


@dataclass(frozen=True)
class Session:
    """Images on the device, what objectives know of them, an objective, a model and the state of its training.

    `error` estimates what it leaves; `most_steps`, where values were cut off, are those after which more do harm.
    """

    model: Model
    state: State
    pool: Pool
    subject: Subject
    objective: Objective
    error: Objective | None = None
    most_steps: int | None = None

    @property
    def settings(self) -> Settings:
        return self.model.settings

    def run(self) -> Iterator[Progress]:
        """Train on, one record a step; stop between any two and `snapshot`."""
        yield from training.run(self.state, self.pool, self.objective, self.settings.training, error=self.error)

    def snapshot(self) -> Model:
        """The model as trained so far, with what a resumed session needs."""
        model = training.snapshot(self.model, self.state)
        return _mixing(self, model) if self.settings.prediction.mixing else model


def refuse(volumes: Sequence[Volume], settings: Settings) -> None:
    """UsageError where images cannot train one model, or where settings name what does not exist."""
    _refuse_mixed(volumes)
    _refuse_unknown(settings)
    device(settings)


def assemble(
    volumes: Sequence[Volume], settings: Settings, noise: Noise | None, *, begun: Model | None = None
) -> Session:
    """A session for what is known of the noise: objective, network and number of steps are settled here.

    The weights are those of `begun`, if that is such a network.
    """
    normalisation = measure(volumes)
    settings, reason = route(settings, noise, normalisation, voxels=math.prod(volumes[0].shape))
    settings, shape = plan_network(volumes, settings)
    settings = fitting(settings, _smallest(volumes)) if reason else settings
    subject = Subject(volumes[0].name, _smallest(volumes), normalisation, noise)
    objective = OBJECTIVES[settings.training.objective](settings, subject)
    _refuse_wide_window(settings)
    network = build(settings.network.network, shape, seed=settings.training.seed)
    if begun and (begun.shape, begun.settings.network.network) == (shape, settings.network.network):
        network.load_state_dict(begun.network.state_dict())
    model = Model(
        network,
        settings,
        shape,
        normalisation,
        volumes[0].spatial_axes,
        noise=noise,
        reason=reason,
        images=tuple(volume.shape for volume in volumes),
        quantity=volumes[0].quantity,
    )
    pool, state = _pool(volumes, model), training.start(model, device(settings))
    error = _error(settings, subject)
    settings = pace.plan_steps(state, pool, objective, settings, error=error)
    return Session(replace(model, settings=settings), state, pool, subject, objective, error)


def resume(volumes: Sequence[Volume], model: Model) -> Session:
    """Go on with the training of a saved model; the result is that of an uninterrupted run."""
    _refuse_mixed(volumes)
    _refuse_others(volumes, model)
    subject = Subject(volumes[0].name, _smallest(volumes), model.normalisation, model.noise)
    objective = OBJECTIVES[model.settings.training.objective](model.settings, subject)
    state, pool = training.start(model, device(model.settings)), _pool(volumes, model)
    return Session(model, state, pool, subject, objective, _error(model.settings, subject))


def device(settings: Settings) -> str:
    """Where to compute: what the settings name, if it is here, or a CUDA device if there is one."""
    name = settings.training.device
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    numbered = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    here = ["cpu", *(["cuda", *numbered] if numbered else []), *(["mps"] if torch.backends.mps.is_available() else [])]
    if name not in here:
        raise UsageError(f"[training] device: {name!r} is not on this machine; here are auto, {', '.join(here)}")
    return name


def plan_network(volumes: Sequence[Volume], settings: Settings) -> tuple[Settings, Shape]:
    """Patch sides and halvings that fit the smallest image, its voxel size and each other."""
    smallest = _smallest(volumes)
    settings = completed(settings, len(smallest))
    width, patch = settings.network.width, settings.training.patch
    assert width is not None and patch is not None
    if len(patch) not in (1, len(smallest)):
        raise UsageError(
            f"[training] patch: {len(patch)} sides given for {len(smallest)} axes; give 1 or {len(smallest)}"
        )
    patch = patch * len(smallest) if len(patch) == 1 else patch
    fitting = tuple(min(p, n) for p, n in zip(patch, smallest, strict=True))
    spacing = volumes[0].voxel_size_um or (1.0,) * len(smallest)
    levels = halvings(fitting, spacing, settings.network.depth)
    shape = Shape(width, levels, len(smallest), settings.network.top_skip)
    stride = [math.prod(level[axis] for level in levels) for axis in range(len(smallest))]
    fitting = tuple(n // s * s for n, s in zip(fitting, stride, strict=True))
    return settings.changed("training", patch=fitting), shape


def _smallest(volumes: Sequence[Volume]) -> Ints:
    return tuple(min(sides) for sides in zip(*(volume.spatial_shape for volume in volumes), strict=True))


def _error(settings: Settings, subject: Subject) -> Objective | None:
    """The estimate of the error that is left; none where the noise is not known, or not Gaussian."""
    if subject.noise is None:
        return None
    if why := subject.noise.not_gaussian:
        if settings.training.patience is not None:
            raise UsageError(
                f"[training] patience: {subject.name}: the error cannot be estimated ({why}: the noise is "
                "not Gaussian); leave patience empty"
            )
        return None
    return error_left(settings, subject)


def _refuse_wide_window(settings: Settings) -> None:
    """A window is reflected at the edges of a patch, so half of it must fit there."""
    patch, sizes = settings.training.patch, settings.masking.mask_size
    if patch and sizes:
        sizes = sizes * len(patch) if len(sizes) == 1 else sizes
        if any(size // 2 >= side for size, side in zip(sizes, patch, strict=True)):
            raise UsageError(
                f"[masking] mask_size: a window of {', '.join(map(str, sizes))} is too wide for patches of "
                f"{', '.join(map(str, patch))}; give at most {2 * min(patch) - 1}, or a larger [training] patch"
            )


def _pool(volumes: Sequence[Volume], model: Model) -> Pool:
    training_settings = model.settings.training
    patch = training_settings.patch
    assert patch is not None  # `plan_network` has filled it in
    levels = {"levels": model.noise.levels} if model.noise else {}
    return load(
        volumes, model.normalisation, patch=patch, settings=training_settings, device=device(model.settings), **levels
    )


def _mixing(session: Session, model: Model) -> Model:
    """The same with the share of the noisy image in the estimate, found on patches that are held out.

    Where few voxels are far off, only the others have that share, by the noise that is theirs.
    """
    batch = draw(session.pool, range(8), role=judged(session.pool), seed=session.settings.training.seed)
    network = place(model.network, model.shape.axes, device(model.settings))
    ask = views.estimate(network, replace(model, mixing=0.0))
    estimated = views.estimates(ask, batch.image, batch.level)
    if model.noise is None or model.noise.rest_std is None:
        return replace(model, mixing=views.mixing(estimated, batch.image, batch.allowed, batch.level), far=None)
    far = views.far_off(estimated, batch.image, batch.allowed)
    near = batch.allowed & ((estimated - batch.image).abs() <= far)
    level = batch.level * (model.noise.rest_std / model.noise.std)
    return replace(model, mixing=views.mixing(estimated, batch.image, near, level), far=far)


def _refuse_mixed(volumes: Sequence[Volume]) -> None:
    if not volumes:
        raise UsageError("no image given to train on")
    first = volumes[0]
    for other in volumes[1:]:
        if other.spatial_axes != first.spatial_axes or other.quantity != first.quantity:
            raise UsageError(
                f"{other.name} ({other.spatial_axes}, {other.quantity}) and {first.name} ({first.spatial_axes}, "
                f"{first.quantity}) cannot train one model: axes and quantity must be the same"
            )


def _refuse_others(volumes: Sequence[Volume], model: Model) -> None:
    """A training goes on with the images it began with: the same shapes, and the same mean and scale of values."""
    name, begun = volumes[0].name, "resuming goes on with the images that training began with"
    if volumes[0].spatial_axes != model.axes:
        raise UsageError(f"{name}: axes {volumes[0].spatial_axes}, but the model was trained on {model.axes}")
    if not model.images:
        return
    given = tuple(volume.shape for volume in volumes)
    if given != model.images:
        raise UsageError(f"{name}: {begun}, of {_shapes(model.images)}, but {_shapes(given)} given")
    here, then = measure(volumes), model.normalisation
    if max(abs(here.offset - then.offset), abs(here.scale - then.scale)) > SAME * then.scale:
        raise UsageError(
            f"{name}: {begun}, whose values have mean {then.offset:.7g} and scale {then.scale:.7g}, but here they have "
            f"{here.offset:.7g} and {here.scale:.7g}"
        )


def _shapes(images: Sequence[Ints]) -> str:
    return "shape " + " and ".join("x".join(map(str, shape)) for shape in images)


def _refuse_unknown(settings: Settings) -> None:
    known: dict[str, tuple[str, str, Sequence[str]]] = {
        "objective": ("training", settings.training.objective, ("auto", *OBJECTIVES)),
        "network": ("network", settings.network.network, tuple(NETWORKS)),
    }
    for key, (section, given, names) in known.items():
        if given not in names:
            raise UsageError(f"[{section}] {key}: unknown {key} {given!r}; known are {', '.join(names)}")
