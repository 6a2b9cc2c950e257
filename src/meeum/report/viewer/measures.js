"use strict";
// Numbers from values: profiles, histograms, statistics. Nothing here touches the page.

/** A profile: positions along the line and the mean across its width, for each plane; nan where there is no data. */
function profileOf(planes, { from, to }, { step, width, rowEdge, columnEdge }) {
  const [high, wide] = [(to.row - from.row) * rowEdge, (to.column - from.column) * columnEdge];
  const length = Math.hypot(high, wide);
  const count = Math.max(1, Math.floor(length / step + 1e-9));
  const along = length > 0 ? { row: (high / length) * step, column: (wide / length) * step } : { row: 0, column: 0 };
  const positions = Array.from({ length: count + 1 }, (_, i) => i * step);
  const place = (i, j) => ({
    row: from.row + (i * along.row + j * along.column) / rowEdge,
    column: from.column + (i * along.column - j * along.row) / columnEdge,
  });
  const across = Array.from({ length: width }, (_, j) => j - (width - 1) / 2);
  const values = planes.map((plane) => positions.map((_, i) => meanOf(across.map((j) => valueNear(plane, place(i, j))))));
  return { positions, values };
}

/** The value between four voxels, linearly; nan outside and where there is no data. */
function valueNear(plane, { row, column }) {
  const [r, c] = [(row + 0.5 - plane.row) / plane.step - 0.5, (column + 0.5 - plane.column) / plane.step - 0.5];
  const [top, left] = [Math.floor(r + 1e-9), Math.floor(c + 1e-9)];
  const [down, right] = [r - top, c - left];
  let sum = 0;
  for (const [i, j, weight] of [[0, 0, (1 - down) * (1 - right)], [0, 1, (1 - down) * right], [1, 0, down * (1 - right)], [1, 1, down * right]]) {
    if (Math.abs(weight) > 1e-6) sum += weight * valueOf(plane, top + i, left + j);
  }
  return sum;
}

function valueOf(plane, row, column) {
  const inside = row >= 0 && column >= 0 && row < plane.rows && column < plane.columns;
  return inside ? plane.values[row * plane.columns + column] : NaN;
}

function meanOf(values) {
  const known = values.filter((value) => value === value);
  return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : NaN;
}

/** Lowest and highest value of tallies: values and how often each occurs (`counts`, or null for once each). */
function rangeOf(tallies) {
  let [low, high] = [Infinity, -Infinity];
  for (const { values } of tallies) {
    for (const value of values) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return low <= high ? [low, high] : [0, 1];
}

/** Equal bins over a range; on values of a known `step` each bin holds as many of them as the next. */
function binsOf([low, high], step, most = 200) {
  const wanted = Math.max((high - low) / most, 1e-12 * Math.max(1, Math.abs(high)));
  const width = step > 0 ? Math.max(1, Math.ceil(wanted / step - 1e-9)) * step : wanted;
  const start = step > 0 ? low - step / 2 : low;
  return { start, width, count: Math.max(1, Math.floor((high - start) / width + 1e-9) + 1) };
}

function histogramOf({ values, counts }, { start, width, count }) {
  const found = new Array(count).fill(0);
  for (let i = 0; i < values.length; i += 1) {
    const bin = Math.floor((values[i] - start) / width);
    if (bin >= 0 && bin < count) found[bin] += counts ? counts[i] : 1;
  }
  return found;
}

/** Share of values above a threshold, and their number. */
function aboveOf({ values, counts }, threshold) {
  let [above, all] = [0, 0];
  for (let i = 0; i < values.length; i += 1) {
    if (values[i] !== values[i]) continue;
    const weight = counts ? counts[i] : 1;
    all += weight;
    if (values[i] > threshold) above += weight;
  }
  return { above, share: all ? above / all : NaN };
}

/** Number, mean, standard deviation (of all, not of a sample), sums: of values and of those above a threshold. */
function statisticsOf(values, threshold) {
  let [n, sum, above, sumAbove] = [0, 0, 0, 0];
  for (const value of values) {
    if (value !== value) continue;
    n += 1;
    sum += value;
    if (value > threshold) {
      above += 1;
      sumAbove += value;
    }
  }
  const mean = sum / n;
  let squares = 0;
  for (const value of values) if (value === value) squares += (value - mean) ** 2;
  return { n, mean, std: Math.sqrt(squares / n), sum, above, sumAbove };
}

/** Dry mass in pg: sum of n - n_medium, times the voxel's volume in µm³, over alpha in µm³/pg (Barer 1952). */
function dryMass(sum, n, { medium, alpha, voxelVolume }) {
  return ((sum - n * medium) * voxelVolume) / alpha;
}

/** Values below which the shares of a list lie, without those that are no data. */
function quantiles(values, shares) {
  const every = Math.max(1, Math.floor(values.length / 100000));
  const known = Float32Array.from(values.filter((value, i) => i % every === 0 && value === value)).sort();
  return shares.map((share) => (known.length ? known[Math.round(share * (known.length - 1))] : NaN));
}

/** The part of a plane in a box of rows and columns of the whole image. */
function cropped(plane, { rows, columns }) {
  const bound = (place, start, length) => clamp(Math.round((place - start) / plane.step), 0, length);
  const [top, bottom] = rows.map((row) => bound(row, plane.row, plane.rows));
  const [left, right] = columns.map((column) => bound(column, plane.column, plane.columns));
  const found = [];
  for (let row = top; row < bottom; row += 1) {
    for (let column = left; column < right; column += 1) found.push(plane.values[row * plane.columns + column]);
  }
  return found;
}
