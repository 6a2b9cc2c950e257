"""What a comparison comes to: the rows, their ranking, what to beware of, and the sentence it ends with."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from meeum.auditing.finding import plain_values
from meeum.auditing.judge import summary
from meeum.auditing.risk import doubt, obstacle
from meeum.auditing.table import UNITS
from meeum.comparing.grid import AUTO
from meeum.comparing.ranking import SURE, Difference, Ranking, rank
from meeum.comparing.scores import Run
from meeum.comparing.standings import Standing, contestant, flat, row, standing
from meeum.noise import Noise
from meeum.volume import Volume

VERSION = 1  # of the JSON: grows when the meaning of a key changes
UNSURE = 0.1  # relative error of the noise's level that is worth a word


@dataclass(frozen=True)
class Result:
    """All of a comparison; `standings` with the lowest estimated error first, what failed last."""

    noisy: Volume
    noise: Noise
    standings: tuple[Standing, ...]
    ranking: Ranking | None
    sentence: str
    cautions: tuple[str, ...]
    seeds: int
    noisy_psnr: float = math.nan
    noisy_ssim: float = math.nan

    @property
    def has_truth(self) -> bool:
        return any(math.isfinite(one.psnr) for one in self.standings)

    @property
    def chosen(self) -> Standing | None:
        return self.named(self.ranking.chosen) if self.ranking else None

    def named(self, name: str) -> Standing:
        return next(one for one in self.standings if one.name == name)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; docs/compare.md says what each key means."""
        told = {
            "version": VERSION,
            "file": self.noisy.name,
            **{key: getattr(self.noisy, key) for key in ("axes", "shape", "voxel_size_um", "quantity")},
            "noise": summary(self.noise),
            "noisy_psnr_db": self.noisy_psnr,
            "noisy_ssim": self.noisy_ssim,
            "seeds": self.seeds,
            "settings": [row(one, self.ranking) for one in self.standings],
            "ranking": _ranked(self.ranking) if self.ranking else None,
            "sentence": self.sentence,
            "cautions": list(self.cautions),
        }
        plain: dict[str, Any] = plain_values(told)
        return plain

    def as_csv(self) -> str:
        """A row per setting; three columns per column of the table: verdict, value with unit, measure."""
        text = io.StringIO()
        rows = [flat(row(one, self.ranking)) for one in self.standings]
        writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()


def conclude(
    noisy: Volume, noise: Noise, runs: Sequence[Run], *, truth: tuple[float, float] = (math.nan, math.nan)
) -> Result:
    """Rows, ranking and sentence from the runs; `truth` are PSNR and SSIM of the noisy image."""
    names = list(dict.fromkeys(one.setting for one in runs))
    standings = [standing(name, [one for one in runs if one.setting == name], noise) for name in names]
    standings.sort(key=lambda one: (bool(one.problem), math.isnan(one.mse), one.mse))
    ranking = rank([contestant(one) for one in standings if one.finished], default=AUTO, doubt=doubt(noise))
    seeds = max(one.seed for one in runs) + 1
    words = sentence(standings, ranking, noise, unit=UNITS.get(noisy.quantity, noisy.quantity))
    cautions = _cautions(standings, noise, seeds)
    taken = next((one for one in standings if ranking and one.name == ranking.chosen), None)
    if taken and taken.psnr < truth[0]:
        lost = f"by the truth {taken.name} is worse than the noisy image ({taken.psnr:.2f} dB against {truth[0]:.2f})"
        cautions = (f"{lost}: it was trained too briefly, or the noise was measured wrongly", *cautions)
    return Result(noisy, noise, tuple(standings), ranking, words, cautions, seeds, *truth)


def _ranked(ranking: Ranking) -> dict[str, Any]:
    return {
        **{key: getattr(ranking, key) for key in ("leader", "best", "chosen")},
        "ties": list(ranking.ties),
        "differences": [vars(one) | {"tie": one.is_tie} for one in ranking.differences],
    }


def sentence(standings: Sequence[Standing], ranking: Ranking | None, noise: Noise, *, unit: str) -> str:
    """Which setting, why, and how sure."""
    if ranking is None:
        return _without_errors(standings)
    named = {one.name: one for one in standings}
    chosen, leader = named[ranking.chosen], named[ranking.leader]
    if chosen.name == AUTO and obstacle(noise):
        return (
            f"Take {AUTO}, which follows the measured noise; {_audited(chosen)}. No estimated error speaks "
            f"for or against it: {obstacle(noise)}."
        )
    parts = [f"Take {chosen.name}: {_estimate(chosen, unit)}; {_audited(chosen)}."]
    tied = [name for name in ranking.ties if name != chosen.name and _may(named[name], chosen)]
    if tied:
        parts.append(
            f"It ties with {_listed(tied)} (no difference beyond {SURE:g} standard errors){_why(chosen, tied, named)}."
        )
    parts += _apart(ranking, chosen)
    if chosen.name == AUTO and AUTO not in ranking.ties:
        parts.append(
            f"The estimate for {ranking.best} is lower, but by less than the measured correlation of the noise leaves "
            f"open, so what follows the noise is taken."
        )
    if leader.name != ranking.best:
        parts.append(
            f"{leader.name} has a lower estimated error ({leader.rmse:.3g} {unit}) but is not taken, since its audit "
            f"fails ({_listed(leader.fails)}) and another's does not."
        )
    return " ".join(parts)


def _without_errors(standings: Sequence[Standing]) -> str:
    """What is left to say where no error could be estimated."""
    finished = sorted((one for one in standings if one.finished), key=lambda one: len(one.fails))
    if not finished:
        return f"No setting gave a result: {standings[0].name}: {standings[0].problem}"
    why = next((each.untold for one in finished for each in one.finished if each.untold), "the error is not known")
    return (
        f"None can be recommended by its error: {why}. The audit fails least in {finished[0].name} "
        f"({len(finished[0].fails)} findings)."
    )


def _may(one: Standing, chosen: Standing) -> bool:
    """Whether it could have been chosen as well: not where its audit fails and the chosen one's does not."""
    return not one.fails or bool(chosen.fails)


def _estimate(one: Standing, unit: str) -> str:
    if math.isfinite(one.gain_db):
        spread = f" ± {one.gain_error:.1f}" if math.isfinite(one.gain_error) else ""
        return f"estimated error {one.rmse:.3g} {unit}, {one.gain_db:.1f}{spread} dB below the noise"
    return f"estimated error too small to be told from 0, at least {one.least_gain:.1f} dB below the noise"


def _audited(one: Standing) -> str:
    if not one.fails:
        return "nothing in its audit fails"
    return f"its audit fails ({_listed(one.fails)}), as every other's does, so look at the report before you trust it"


def _why(chosen: Standing, tied: Sequence[str], named: dict[str, Standing]) -> str:
    """Why it and none of those that it ties with."""
    if chosen.name == AUTO:
        return ", and follows the measured noise"
    most = max(len(named[name].fails) for name in tied)
    if most > len(chosen.fails):
        return ", and fewest findings of its audit fail"
    if min(named[name].seconds for name in tied) > 1.1 * chosen.seconds:
        return ", and is the cheapest"
    return "; nothing but a slightly lower estimate speaks for it" if _is_least(chosen, tied, named) else ""


def _is_least(chosen: Standing, tied: Sequence[str], named: dict[str, Standing]) -> bool:
    return all(chosen.mse <= named[name].mse for name in tied)


def _apart(ranking: Ranking, chosen: Standing) -> list[str]:
    """The nearest setting that is worse beyond doubt, and by how many standard errors."""
    worse = [one for one in ranking.differences if not one.is_tie and one.value > 0]
    if not worse:
        return ["No other setting is worse beyond doubt."] if len(ranking.differences) > 1 else []
    nearest = worse[0]
    seeds = f"over regions and {ranking.seeds} seeds" if ranking.seeds > 1 else "over regions; one seed"
    best = "" if ranking.best == chosen.name else f" than {ranking.best}"
    return [f"The next, {nearest.name}, is worse{best} by {_sigmas(nearest)} standard errors (paired {seeds})."]


def _sigmas(one: Difference) -> str:
    return f"{one.value / one.standard_error:.1f}" if one.standard_error > 0 else "any number of"


def _listed(names: Sequence[str], most: int = 4) -> str:
    shown = list(names[:most]) + ([f"{len(names) - most} more"] if len(names) > most else [])
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _cautions(standings: Sequence[Standing], noise: Noise, seeds: int) -> tuple[str, ...]:
    """What may be wrong with all of it."""
    found = []
    if obstacle(noise):
        found.append(obstacle(noise))
    if noise.uncertainty > UNSURE:
        found.append(
            f"the noise's level is known to {noise.uncertainty:.0%} only: all estimated errors are off by the same "
            "amount, which leaves their order as it is"
        )
    if seeds == 1:
        found.append("one seed: how much of a difference is chance of the training is not known; try --seeds 3")
    found.append("networks trained with the measured noise share its errors and may look better than they are")
    found += [f"{one.name} did not run: {one.problem}" for one in standings if one.problem]
    return tuple(found)
