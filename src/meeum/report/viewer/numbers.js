"use strict";
// Numbers as a person reads them.

/** Digits after the point that a multiple of `step` needs, 12 at most. */
function digitsOf(step) {
  if (!(step > 0)) return 6;
  for (let digits = 0; digits <= 6; digits += 1) {
    const scaled = step * 10 ** digits;
    if (scaled > 0.5 && Math.abs(scaled - Math.round(scaled)) < 1e-6 * scaled) return digits;
  }
  return Math.min(12, Math.max(0, Math.ceil(-Math.log10(step))));
}

/** A value with a true minus; a dash where there is none. */
function shown(value, digits) {
  if (!Number.isFinite(value)) return "no data";
  const large = Math.abs(value) >= 1e9;
  return (large ? value.toPrecision(7) : value.toFixed(digits)).replace(/^-(0\.?0*)$/, "$1").replace("-", "−");
}

/** A value with a number of significant digits, for statistics. */
function brief(value, digits = 4) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e6 || size < 1e-4)) return value.toExponential(digits - 1).replace(/-/g, "−");
  const after = size === 0 ? 0 : Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
  return value.toFixed(Math.min(12, after)).replace("-", "−");
}

/** The largest of 1, 2, 5 times a power of ten that is no more than `most`. */
function roundBelow(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return [5, 2, 1].map((factor) => factor * power).find((value) => value <= most * (1 + 1e-9));
}

/** A number as text for an input: no more digits than tell in a range of this `width`. */
function entered(value, width) {
  const step = 10 ** Math.floor(Math.log10(Math.max(width, 1e-12) / 200));
  return String(Number(value.toFixed(Math.min(12, digitsOf(step)))));
}

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
