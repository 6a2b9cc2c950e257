"use strict";
// What the side panel shows of measures: worked out after the pictures, so that sliders stay quick.

function measureSoon(viewer) {
  clearTimeout(viewer.measuring);
  viewer.measuring = setTimeout(() => measureAll(viewer), 40);
}

function measureAll(viewer) {
  if (viewer.panel.hidden || !viewer.planes[viewer.names[0]]) return;
  showHistogram(viewer);
  showProfile(viewer);
  showRegion(viewer);
  reveal(viewer);
}

/** Scroll the panel, and nothing else, to what was just drawn for the first time. */
function reveal(viewer) {
  const part = viewer.reveal?.closest("details");
  viewer.reveal = null;
  if (!part) return;
  part.open = true;
  viewer.panel.scrollTop = part.offsetTop - viewer.panel.offsetTop;
}

function shownPlanes(viewer) {
  return viewer.names.map((name) => viewer.planes[name][0]);
}

function tallies(viewer) {
  if (viewer.ofVolume) return viewer.names.map((name) => viewer.source.tally(name, viewer.at[0]));
  return shownPlanes(viewer).map((plane) => ({ values: plane.values, counts: null }));
}

function showHistogram(viewer) {
  const { place, table, threshold, range } = viewer.histogram;
  const found = tallies(viewer);
  const first = viewer.scene.images[viewer.names[0]];
  const bins = binsOf(rangeOf(found), first.exact ? first.scale : 0);
  viewer.measured.histogram = { ...bins, counts: found.map((tally) => histogramOf(tally, bins)) };
  const starts = Array.from({ length: bins.count }, (_, i) => bins.start + i * bins.width);
  const counts = viewer.measured.histogram.counts.map((list) => list.map((count) => (viewer.logarithmic && count === 0 ? null : count)));
  const soft = colourOf(viewer.root, "--mv-soft");
  const [low, high] = viewer.windows[viewer.names[0]];
  const lines = [{ at: low, colour: soft, dash: [2, 3] }, { at: high, colour: soft, dash: [2, 3] }, { at: viewer.threshold, colour: colourOf(viewer.root, "--mv-ink"), dash: [] }];
  viewer.charts.histogram?.destroy();
  viewer.charts.histogram = chart(viewer, place, [starts, ...counts],
    { x: unitText(viewer), y: "voxels", names: viewer.names, stepped: true, log: viewer.logarithmic, over: verticals(lines) });
  fill(threshold, entered(viewer.threshold, high - low));
  range.min = bins.start;
  range.max = bins.start + bins.count * bins.width;
  range.value = viewer.threshold;
  const above = found.map((tally) => aboveOf(tally, viewer.threshold));
  fillTable(viewer, table, [["above", ...above.map(({ share }) => `${brief(100 * share, 3)} %`)], ...volumeRow(viewer, above)]);
}

function unitText(viewer) {
  return viewer.scene.unit ? `${viewer.scene.quantity}, ${viewer.scene.unit}` : viewer.scene.quantity;
}

/** Size of what lies above the threshold: µm³ in a volume, µm² in a flat image. */
function volumeRow(viewer, above) {
  const size = voxelVolume(viewer);
  if (!Number.isFinite(size)) return [];
  return [[viewer.flat ? "above, µm²" : "above, µm³", ...above.map((found) => brief(found.above * size))]];
}

/** µm³ of what one shown value stands for; µm² in a flat image; nan in a projection. */
function voxelVolume(viewer) {
  if (!viewer.scene.voxel_um || viewer.axis === "max") return NaN;
  const [depth, height, width] = viewer.edges;
  const step = viewer.planes[viewer.names[0]][0].step;
  return (viewer.flat ? 1 : depth) * height * width * step * step;
}

/** µm between the points of a profile: the shorter edge of the plane's voxels. */
function profileStep(viewer) {
  const { rowEdge, columnEdge } = planeSize(viewer);
  return Math.min(rowEdge, columnEdge);
}

function showProfile(viewer) {
  const { place, hint, width } = viewer.profile;
  fill(width, viewer.lineWidth);
  hint.textContent = viewer.line ? "" : "Choose Line and drag over a picture.";
  place.hidden = !viewer.line;
  viewer.charts.profile?.destroy();
  viewer.charts.profile = viewer.measured.profile = null;
  if (!viewer.line) return;
  const { rowEdge, columnEdge } = planeSize(viewer);
  const shape = { step: profileStep(viewer), width: viewer.lineWidth, rowEdge, columnEdge };
  const { positions, values } = (viewer.measured.profile = profileOf(shownPlanes(viewer), viewer.line, shape));
  const known = values.map((list) => list.map((value) => (value === value ? value : null)));
  viewer.charts.profile = chart(viewer, place, [positions, ...known], { x: `along the line, ${viewer.unit}`, y: unitText(viewer), names: viewer.names });
}

function showRegion(viewer) {
  const { table, hint, medium, alpha } = viewer.region;
  fill(medium, Number.isFinite(viewer.medium) ? entered(viewer.medium, 0.01) : "");
  fill(alpha, Number.isFinite(viewer.alpha) ? entered(viewer.alpha, 0.1) : "");
  hint.textContent = viewer.box ? boxText(viewer) : "The whole plane; choose Region and drag for a part of it.";
  const found = viewer.names.map((name) => statisticsOf(regionValues(viewer, name), viewer.threshold));
  viewer.measured.region = found;
  fillTable(viewer, table, regionRows(viewer, found));
}

function boxText(viewer) {
  const { rows, columns } = viewer.box;
  const averaged = viewer.planes[viewer.names[0]][0].step;
  const note = averaged > 1 ? `; each value is the mean of ${averaged} × ${averaged} voxels` : "";
  return `${rows[1] - rows[0]} × ${columns[1] - columns[0]} voxels${note}`;
}

/** Values of the rectangle in this plane, or through all of them. */
function regionValues(viewer, name) {
  const size = planeSize(viewer);
  const box = viewer.box || { rows: [0, size.rows], columns: [0, size.columns] };
  const plane = PLANES[viewer.axis];
  if (!viewer.deep || viewer.axis === "max") return cropped(viewer.planes[name][0], box);
  const ranges = viewer.shape.slice(1).map((length) => [0, length]);
  ranges[plane.rows] = box.rows;
  ranges[plane.columns] = box.columns;
  return viewer.source.block(name, viewer.at[0], ranges);
}

function regionRows(viewer, found) {
  const size = voxelVolume(viewer);
  const sure = ({ std, n }) => (std > 0 ? clamp(Math.ceil(1 - Math.log10(std / Math.sqrt(n))), 0, 9) : Math.max(...Object.values(viewer.digits)));
  const rows = [
    ["mean", ...found.map((one) => shown(one.mean, sure(one)))],
    ["std", ...found.map(({ std }) => brief(std))],
    ["n", ...found.map(({ n }) => String(n))],
    ...volumeRow(viewer, found),
  ];
  if (!hasMass(viewer) || !Number.isFinite(size)) return rows;
  const constants = { medium: viewer.medium, alpha: viewer.alpha, voxelVolume: size };
  return [
    ...rows,
    ["dry mass, pg", ...found.map(({ sum, n }) => brief(dryMass(sum, n, constants)))],
    ["dry mass above, pg", ...found.map(({ sumAbove, above }) => brief(dryMass(sumAbove, above, constants)))],
  ];
}
