"use strict";
// What a person can do, however they ask for it: each changes the state and says what follows from it.

function moveTo(viewer, at) {
  const bounded = at.map((index, axis) => clamp(Math.round(index), 0, viewer.shape[axis] - 1));
  const other = bounded[0] !== viewer.at[0] || bounded[1 + PLANES[viewer.axis].across] !== viewer.at[1 + PLANES[viewer.axis].across];
  viewer.at = bounded;
  changed(viewer, other ? "planes" : "view");
  readOut(viewer);
}

/** Go to a place of the whole image, given as t, z, y, x; false if this page does not hold it. */
function goTo(viewer, place) {
  const here = toPart(viewer.scene, place);
  if (!isInside(viewer.shape, here)) {
    say(viewer, `t, z, y, x = ${place.join(", ")} lies outside the part that this page holds.`);
    return false;
  }
  viewer.crosshair = true;
  viewer.hover = null;
  moveTo(viewer, here);
  const view = viewOf(viewer);
  const { row, column } = inPlane(viewer, here);
  if (!view.fitted) Object.assign(view, { row: row + 0.5, column: column + 0.5 });
  return true;
}

function step(viewer, axis, count) {
  const at = viewer.at.slice();
  at[axis] += count;
  viewer.hover = null;
  moveTo(viewer, at);
}

/** The next plane along the axis across the picture. */
function stepPlane(viewer, count) {
  if (viewer.axis !== "max") step(viewer, 1 + PLANES[viewer.axis].across, count);
}

/** Move the crosshair within the plane. */
function stepCursor(viewer, rows, columns) {
  const plane = PLANES[viewer.axis];
  const at = viewer.at.slice();
  at[1 + plane.rows] += rows;
  at[1 + plane.columns] += columns;
  viewer.crosshair = true;
  viewer.hover = null;
  moveTo(viewer, at);
}

function setAxis(viewer, axis) {
  if (viewer.flat || axis === viewer.axis) return;
  const same = PLANES[axis].across === PLANES[viewer.axis].across;
  if (!same) viewer.line = viewer.box = null; // they were drawn on another plane
  viewer.axis = axis;
  viewer.hover = null;
  changed(viewer, "planes");
}

function setLayout(viewer, layout, single = viewer.single) {
  if (viewer.names.length < 2) return;
  Object.assign(viewer, { layout, single });
  changed(viewer, "view");
}

function blink(viewer) {
  if (viewer.names.length < 2) return;
  if (viewer.layout === "one" && viewer.single === "residual") viewer.single = "noisy";
  viewer.swapped = !viewer.swapped;
  changed(viewer, "view");
}

function moveDivider(viewer, share) {
  viewer.divider = clamp(share, 0, 1);
  changed(viewer, "view");
}

function setTool(viewer, tool) {
  viewer.tool = tool;
  changed(viewer, "view");
}

/** A window for one image; a lock makes noisy and denoised share it, and the residual's is always symmetric. */
function setWindow(viewer, name, limits) {
  if (name === "residual") {
    const half = Math.max((limits[1] - limits[0]) / 2, 1e-12);
    viewer.windows.residual = [-half, half];
  } else {
    for (const other of viewer.locked ? viewer.names : [name]) viewer.windows[other] = widened(limits);
  }
  changed(viewer, "colours");
}

function setLocked(viewer, locked) {
  viewer.locked = locked;
  if (locked) setWindow(viewer, "noisy", viewer.windows.noisy);
  changed(viewer, "view");
}

/** Windows that leave 0.35 % of the shown values on either side. */
function autoWindow(viewer) {
  const limits = (name) => quantiles(viewer.planes[name][0].values, [0.0035, 0.9965]);
  for (const name of viewer.locked ? ["noisy"] : viewer.names) {
    if (limits(name).every(Number.isFinite)) setWindow(viewer, name, limits(name));
  }
}

function resetWindows(viewer) {
  viewer.windows = firstWindows(viewer.scene, viewer.names);
  changed(viewer, "colours");
}

function setColormap(viewer, name) {
  viewer.colormap = name;
  changed(viewer, "colours");
}

function setThreshold(viewer, value) {
  viewer.threshold = Math.fround(value); // as images are, so that a value equal to it does not exceed it
  changed(viewer, ...(viewer.outlined ? ["colours", "measures"] : ["measures"]));
}

function setLine(viewer, line) {
  if (!viewer.line) viewer.reveal = viewer.profile.place;
  viewer.line = line;
  changed(viewer, "measures");
}

function setBox(viewer, box) {
  if (!viewer.box) viewer.reveal = viewer.region.table;
  viewer.box = box;
  changed(viewer, "measures");
}

/** A detail of the state that measurements depend on. */
function setMeasure(viewer, name, value) {
  viewer[name] = value;
  changed(viewer, name === "outlined" ? "colours" : "view", "measures");
}

function clearMeasures(viewer) {
  viewer.line = viewer.box = null;
  viewer.tool = "pan";
  changed(viewer, "measures");
}

function fitAll(viewer) {
  viewOf(viewer).fitted = true;
  changed(viewer, "view");
}

function zoomBy(viewer, factor) {
  zoomView(viewer, viewer.panes[0], factor);
  changed(viewer, "view");
}

function toggleCrosshair(viewer) {
  viewer.crosshair = !viewer.crosshair;
  changed(viewer, "view");
  readOut(viewer);
}

function togglePanel(viewer) {
  viewer.panel.hidden = !viewer.panel.hidden;
  changed(viewer, "measures");
}
