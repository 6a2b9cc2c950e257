"""Models on disk: tensors and plain values in one safetensors file; no pickle is ever read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from meeum import __version__
from meeum.errors import MeeumError, UsageError
from meeum.folder import MODEL_FILE
from meeum.networks import NETWORKS, Shape, build
from meeum.noise import Noise
from meeum.patches import Normalisation
from meeum.settings import Settings, from_values

FORMAT = "meeum model 1"


@dataclass(frozen=True)
class Model:
    """A network with all that is needed to use it: settings, shape, normalisation, the axes it was made for."""

    network: nn.Module
    settings: Settings
    shape: Shape
    normalisation: Normalisation
    axes: str
    step: int = 0
    history: tuple[Mapping[str, float], ...] = ()
    version: str = __version__
    state: Mapping[str, Tensor] = field(default_factory=dict)  # what training needs to go on
    noise: Noise | None = None  # as measured before training, if the objective needed it
    reason: str = ""  # why this objective, in one sentence
    mixing: float = 0.0  # share of the noisy image in the estimate
    far: float | None = None  # network units from the estimate beyond which a voxel has no share in it
    images: tuple[tuple[int, ...], ...] = ()  # shapes of those it was trained on; empty in models of before
    quantity: str = ""  # of their values; empty in models of before

    @property
    def is_finished(self) -> bool:
        """Whether its training is over: what only that needs is kept until then, and no longer."""
        return self.step > 0 and not self.state

    @property
    def stride(self) -> tuple[int, ...]:
        return tuple(self.network.stride)  # type: ignore[arg-type]

    @property
    def reach(self) -> tuple[int, ...]:
        return tuple(self.network.reach)  # type: ignore[arg-type]

    @property
    def voxel_bytes(self) -> int:
        return int(self.network.voxel_bytes)  # type: ignore[arg-type]


def save(model: Model, path: Path) -> Path:
    """Write a model, with its training state if it has one; an older file stays until the new one is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {f"network/{name}": value for name, value in model.network.state_dict().items()}
    tensors |= {f"state/{name}": value for name, value in model.state.items()}
    plain = {
        "settings": model.settings.model_dump(mode="json"),
        "shape": asdict(model.shape),
        "normalisation": asdict(model.normalisation),
        "axes": model.axes,
        "step": model.step,
        "history": list(model.history),
        "version": __version__,
        "reason": model.reason,
        "mixing": model.mixing,
        "far": model.far,
        "images": model.images,
        "quantity": model.quantity,
    }
    if model.noise:
        plain["noise"] = model.noise.as_dict()
        tensors["noise/spectrum"] = torch.from_numpy(model.noise.spectrum)
    temporary = path.with_name(f".{path.name}.partial")
    try:
        save_file(
            {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
            temporary,
            metadata={"format": FORMAT, "meeum": json.dumps(plain)},
        )
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        temporary.unlink(missing_ok=True)
        raise MeeumError(f"{path}: the model could not be written: {error}") from error
    return path


def load(path: Path) -> Model:
    """Read a model from its file or from the folder it lies in."""
    file = path / MODEL_FILE if path.is_dir() else path
    try:
        with safe_open(file, framework="pt") as opened:
            metadata = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise UsageError(
            f"{path}: there is no model here ({MODEL_FILE}); `meeum train FILE --out DIR` makes one"
        ) from None
    except (SafetensorError, OSError) as error:
        raise MeeumError(f"{file}: not a readable model, it may be damaged or cut short ({error})") from None
    if metadata.get("format") != FORMAT:
        raise MeeumError(f"{file}: its format is {metadata.get('format')!r}; this meeum reads {FORMAT!r}")
    try:
        return _assemble(json.loads(metadata["meeum"]), tensors, str(file))
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, UsageError) as error:
        why = " ".join(str(error).split())[:300]
        raise MeeumError(f"{file}: a model whose parts do not fit together, or of a later meeum ({why})") from None


def _assemble(plain: dict[str, Any], tensors: dict[str, Tensor], where: str) -> Model:
    settings = from_values(plain["settings"], where=where)
    if settings.network.network not in NETWORKS:
        raise MeeumError(f"{where}: made with network {settings.network.network!r}, which this meeum does not have")
    halvings = tuple(tuple(level) for level in plain["shape"].pop("halvings"))
    shape = Shape(halvings=halvings, **plain["shape"])
    network = build(settings.network.network, shape, seed=0)
    network.load_state_dict(_under("network/", tensors))
    return Model(
        network=network,
        settings=settings,
        shape=shape,
        normalisation=Normalisation(**plain["normalisation"]),
        axes=plain["axes"],
        step=plain["step"],
        history=tuple(plain["history"]),
        version=plain["version"],
        state=_under("state/", tensors),
        noise=Noise.from_dict(plain["noise"], tensors["noise/spectrum"].numpy()) if "noise" in plain else None,
        reason=plain.get("reason", ""),
        mixing=plain.get("mixing", 0.0),
        far=plain.get("far"),
        images=tuple(tuple(shape) for shape in plain.get("images", ())),
        quantity=plain.get("quantity", ""),
    )


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def weights_equal(one: Model, other: Model) -> bool:
    """Whether two models are the same to the last bit."""
    ours, theirs = one.network.state_dict(), other.network.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
