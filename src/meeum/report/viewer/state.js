"use strict";
// What the viewer shows, and the steps from a change to a picture.

const NAMES = ["noisy", "denoised"];

function newState(scene, source, tables) {
  const names = NAMES.filter((name) => scene.images[name]);
  const edges = scene.voxel_um || [1, 1, 1];
  const middle = scene.shape.map((length, axis) => (axis ? Math.floor(length / 2) : 0));
  const view = () => ({ row: 0, column: 0, zoom: 1, fitted: true });
  return {
    scene, source, tables, names, edges,
    shape: scene.shape,
    unit: scene.voxel_um ? "µm" : "voxels",
    flat: scene.shape[1] === 1,
    at: middle, // t, z, y, x of the cursor, in the part this page holds
    axis: "z", layout: "three", single: names[0], swapped: false, divider: 0.5, tool: "pan",
    crosshair: false, locked: true, colormap: "viridis",
    windows: firstWindows(scene, names),
    views: { z: view(), y: view(), x: view() },
    digits: Object.fromEntries(names.map((name) => [name, digitsFor(scene, scene.images[name])])),
    controls: {}, charts: {}, measured: {}, planes: {}, painted: {}, canvases: {}, hover: null, line: null, lineWidth: 1, box: null, deep: false,
    threshold: Math.fround(entered(middleOf(scene.limits), scene.limits[1] - scene.limits[0])), outlined: false, ofVolume: false, logarithmic: false,
    medium: scene.medium_index === null ? NaN : scene.medium_index, alpha: scene.alpha || NaN,
    spots: spotsOf(scene), dirty: new Set(), loading: false, stale: false, engaged: false, waiting: [],
  };
}

function middleOf([low, high]) {
  return (low + high) / 2;
}

function digitsFor(scene, image) {
  return digitsOf(image.scale || Math.max(scene.limits[1] - scene.limits[0], 1e-9) / 20000);
}

function firstWindows(scene, names) {
  const windows = Object.fromEntries(names.map((name) => [name, widened(scene.limits)]));
  const limit = scene.residual_limit || 1e-12;
  return { ...windows, residual: [-limit, limit] };
}

function widened([low, high]) {
  const least = Math.max(1e-7 * Math.max(Math.abs(low), Math.abs(high)), 1e-12);
  return high - low > least ? [low, high] : [middleOf([low, high]) - least, middleOf([low, high]) + least];
}

function spotsOf(scene) {
  return (scene.spots || []).map((spot, i) => {
    const here = toPart(scene, spot.at);
    return { ...spot, number: i + 1, here, inside: isInside(scene.shape, here) };
  });
}

/** Ask for a redraw: "planes" loads, "colours" paints, "view" draws, "measures" counts; each does what follows it. */
function changed(viewer, ...what) {
  if (viewer.dirty.size === 0) requestAnimationFrame(() => refresh(viewer));
  for (const part of what) viewer.dirty.add(part);
}

function refresh(viewer) {
  const dirty = new Set(viewer.dirty);
  viewer.dirty.clear();
  if (dirty.has("planes")) load(viewer).catch((error) => complain(viewer, error));
  if (dirty.has("colours")) repaint(viewer);
  showControls(viewer);
  redraw(viewer);
  if (dirty.has("measures")) measureSoon(viewer);
  if (dirty.has("view") && !viewer.source.hasVolume) lookCloser(viewer);
}

/** Load what is to be shown; while that takes time, only the newest wish is remembered. */
async function load(viewer) {
  viewer.stale = true;
  if (viewer.loading) return;
  viewer.loading = true;
  try {
    while (viewer.stale) {
      viewer.stale = false;
      await loadPlanes(viewer);
    }
  } finally {
    viewer.loading = false;
  }
}

async function loadPlanes(viewer) {
  const wish = wanted(viewer);
  const base = await viewer.source.planes(wish);
  viewer.planes = {};
  wish.names.forEach((name, i) => (viewer.planes[name] = [base[i]]));
  viewer.shown = wish;
  finishPlanes(viewer);
  await loadDetail(viewer, wish);
}

function wanted(viewer) {
  const index = viewer.at[1 + PLANES[viewer.axis].across];
  return { names: viewer.names, axis: viewer.axis, index, t: viewer.at[0] };
}

/** Where the plane came thinned out and little of it is in sight, that part in more detail. */
async function loadDetail(viewer, wish) {
  const step = viewer.planes[viewer.names[0]][0].step;
  const part = step > 1 && viewer.panes.length ? inSight(viewer) : null;
  if (!part || viewer.stale) return;
  viewer.closer = part;
  const detail = await viewer.source.planes({ ...wish, ...part });
  if (viewer.stale || viewer.shown !== wish || viewer.closer !== part || detail[0].step >= step) return;
  wish.names.forEach((name, i) => (viewer.planes[name][1] = detail[i]));
  finishPlanes(viewer);
}

/** After a zoom or a move has come to rest. */
function lookCloser(viewer) {
  clearTimeout(viewer.closerTimer);
  viewer.closerTimer = setTimeout(() => {
    if (viewer.shown && !viewer.loading) loadDetail(viewer, viewer.shown).catch((error) => complain(viewer, error));
  }, 150);
}

function inSight(viewer) {
  const size = planeSize(viewer);
  const pane = viewer.panes[0];
  const from = fromScreen(viewer, pane, 0, 0);
  const to = fromScreen(viewer, pane, pane.width, pane.height);
  const grid = 256; // the same part is asked for again after a small move: it is remembered
  const range = (a, b, most) => [clamp(Math.floor(a / grid) * grid, 0, most), clamp(Math.ceil(b / grid) * grid, 0, most)];
  const [rows, columns] = [range(from.row, to.row, size.rows), range(from.column, to.column, size.columns)];
  const small = (rows[1] - rows[0]) * (columns[1] - columns[0]) < 0.6 * size.rows * size.columns;
  return small && rows[1] > rows[0] && columns[1] > columns[0] ? { rows, columns } : null;
}

function finishPlanes(viewer) {
  if (viewer.planes.denoised) {
    viewer.planes.residual = viewer.planes.noisy.map((noisy, i) => lessOf(noisy, viewer.planes.denoised[i]));
  }
  repaint(viewer);
  redraw(viewer);
  readOut(viewer);
  measureSoon(viewer);
  viewer.firstShown();
}

function lessOf(noisy, denoised) {
  const values = new Float32Array(noisy.values.length);
  for (let i = 0; i < values.length; i += 1) values[i] = noisy.values[i] - denoised.values[i];
  return { ...noisy, values };
}

function repaint(viewer) {
  for (const [name, planes] of Object.entries(viewer.planes)) {
    viewer.canvases[name] = viewer.canvases[name] || [element("canvas"), element("canvas")];
    const residual = name === "residual";
    const table = viewer.tables[residual ? DIVERGING : viewer.colormap];
    const threshold = viewer.outlined && !residual ? viewer.threshold : null;
    viewer.painted[name] = planes.map((plane, i) => {
      paint(viewer.canvases[name][i], plane, table, viewer.windows[name], threshold);
      return { plane, painted: viewer.canvases[name][i] };
    });
  }
}

/** What each pane shows: images with the shares of its width that they take. */
function picturesOf(viewer, pane) {
  if (viewer.layout === "swipe") {
    return [
      { name: displayed(viewer, "noisy"), from: 0, to: viewer.divider },
      { name: displayed(viewer, "denoised"), from: viewer.divider, to: 1 },
    ];
  }
  return [{ name: displayed(viewer, pane.image), from: 0, to: 1 }];
}

/** The image shown in the place of another: blinking swaps noisy and denoised. */
function displayed(viewer, name) {
  if (!viewer.swapped || name === "residual" || viewer.names.length < 2) return name;
  return name === "noisy" ? "denoised" : "noisy";
}

function redraw(viewer) {
  arrange(viewer);
  for (const pane of viewer.panes) drawPane(viewer, pane, picturesOf(viewer, pane));
}
