"""`--choose`: candidates are trained for a short time each, the one with the lowest estimated error for the rest."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from meeum import patches, preparation, results
from meeum.auditing import Losses
from meeum.auditing.risk import doubt, obstacle
from meeum.auditing.table import UNITS
from meeum.comparing import grid, scores
from meeum.comparing.grid import AUTO, Scene, Setting
from meeum.comparing.ranking import SURE, Contestant, Ranking, rank
from meeum.errors import MeeumError
from meeum.noise import Noise
from meeum.noise.share import predictable_share
from meeum.settings import Settings
from meeum.volume import Volume

SHARE = 1 / 3  # of the time, or of the steps, for all candidates together
LEAST = 10.0  # seconds of a candidate: fewer are tried where there are not so many
HOPELESS = 0.5  # share of the noise that a blind spot would leave in
DOUBTFUL = 0.2  # relative error of the noise's level beyond which its correlation rules nothing out


@dataclass(frozen=True)
class Trial:
    """A candidate that is about to be tried (`settings` None), or, at last, what was chosen, and all of it in words.

    `noise` is that of the image, which need not be measured again.
    """

    text: str
    share: float
    settings: Settings | None = None
    noise: Noise | None = None


def choose(volume: Volume, base: Settings, *, given: Sequence[str] = (), noise: Noise | None = None) -> Iterator[Trial]:
    """Try the `objectives` grid on one image; the last record holds the settings for the time that is left.

    `given`: the words that `base` was made with; `noise`: where it is known already. Where nothing can be told apart,
    `auto` is taken.
    """
    began = time.monotonic()
    volume = results.as_trained_on(volume, base)
    noise = noise or preparation.noise_of([volume], base)
    scene = Scene(volume.name, volume.spatial_shape, patches.measure([volume]), noise)
    wanted, skipped = _candidates(grid.expand(base, scene, preset="objectives", given=given), noise)
    most = len(wanted) if base.training.steps else max(2, int(SHARE * base.training.minutes * 60 / LEAST))
    wanted = () if obstacle(noise) else wanted[:most]
    found: dict[str, Losses] = {}
    each = 0.0  # seconds that scoring takes
    for number, one in enumerate(wanted):
        yield Trial(f"trying {one.name}, {number + 1} of {len(wanted)}", number / len(wanted))
        left = SHARE * base.training.minutes * 60 - (time.monotonic() - began)
        if not base.training.steps and number and left < LEAST / 2:
            break
        short = _shortened(one.settings, seconds=left / (len(wanted) - number) - each, of=len(wanted))
        result = _try(volume, short, noise)
        if isinstance(result, str):
            skipped = (*skipped, f"{one.name} ({result})")
            continue
        found[one.name], each = result
    tried = [Contestant(name, losses.cells[None]) for name, losses in found.items()]
    ranking = rank(tried, default=AUTO, doubt=doubt(noise))
    name = ranking.chosen if ranking else AUTO
    text = _told(ranking, name, found, noise, skipped, UNITS.get(volume.quantity, volume.quantity))
    settings = next((one.settings for one in wanted if one.name == name), base.changed("training", objective=AUTO))
    yield Trial(text, 1.0, _for_the_rest(settings, time.monotonic() - began), noise)


def _candidates(members: Sequence[Setting], noise: Noise) -> tuple[tuple[Setting, ...], tuple[str, ...]]:
    """What is worth a trial, and what the measured noise rules out, with the reason."""
    kept, out = [], []
    for one in members:
        masking = one.settings.masking
        footprint = masking.footprint * len(noise.sides) if len(masking.footprint) == 1 else masking.footprint
        left = predictable_share(noise, footprint) if one.settings.training.objective == "masked" else 0.0
        if left > HOPELESS and noise.uncertainty < DOUBTFUL:
            out.append(f"{one.name} (would leave {left:.0%} of this noise in)")
        else:
            kept.append(one)
    return tuple(kept), tuple(out)


def _shortened(settings: Settings, *, seconds: float, of: int) -> Settings:
    """For a trial: so many seconds, or its part of a third of the steps; no mean over passes, which is slow."""
    settings = settings.changed("prediction", flips=False, displaced=False)
    if settings.training.steps:
        return settings.changed("training", steps=max(1, int(SHARE * settings.training.steps / of)))
    return settings.changed("training", minutes=max(seconds, 1.0) / 60)


def _for_the_rest(settings: Settings, spent: float) -> Settings:
    """For what the trials have left: of steps, two thirds."""
    if settings.training.steps:
        return settings.changed("training", steps=max(1, round((1 - SHARE) * settings.training.steps)))
    least = (1 - SHARE) * settings.training.minutes / 2  # where measuring the noise of a large image took long
    return settings.changed("training", minutes=max(settings.training.minutes - spent / 60, least))


def _try(volume: Volume, settings: Settings, noise: Noise) -> tuple[Losses, float] | str:
    """Estimated error after a short training and the seconds the estimate took; or why there is none."""
    try:
        running = preparation.prepare([volume], settings, noise=noise)
        for _ in running.run():
            pass
        began = time.monotonic()
        found = scores.losses(volume, running.snapshot(), noise)
    except MeeumError as error:
        return str(error)
    return found, time.monotonic() - began


def _told(
    ranking: Ranking | None, name: str, found: dict[str, Losses], noise: Noise, skipped: Sequence[str], unit: str
) -> str:
    """What was tried, the estimated errors, what was taken, and how sure."""
    out = f"; not tried: {', '.join(skipped)}" if skipped else ""
    if ranking is None:
        why = obstacle(noise) or "each was tried in vain"
        return f"chose {AUTO}: no candidate's error could be estimated ({why}){out}"
    order = sorted(found, key=lambda one: found[one].mse)
    errors = ", ".join(f"{one} {math.sqrt(max(found[one].mse, 0.0)):.3g}" for one in order)
    return f"chose {name} after short trials, by their estimated errors ({unit}): {errors}; {_sure(ranking, name)}{out}"


def _sure(ranking: Ranking, name: str) -> str:
    if name not in ranking.ties:
        return (
            f"{ranking.best} has a lower one, but by less than the measured correlation of the noise leaves open, so "
            f"{name}, which follows the noise, is taken"
        )
    others = [one for one in ranking.ties if one != name]
    if others:
        how = "the one taken where nothing speaks against it" if name == AUTO else "the lowest"
        return f"it is {how}: {', '.join(others)} cannot be told from the best ({SURE:g} standard errors, one seed)"
    next_best = [one for one in ranking.differences if one.name != name]
    if not next_best:
        return "no other could be tried in this time; give more --minutes"
    sigmas = float(np.divide(next_best[0].value, next_best[0].standard_error or math.nan))
    return f"{next_best[0].name}, the next, is worse by {sigmas:.1f} standard errors (one seed)"
