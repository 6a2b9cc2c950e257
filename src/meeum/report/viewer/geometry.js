"use strict";
// Planes through a volume: which axes they show, how large they are, where a voxel lies on the screen.
// Spatial axes are counted z 0, y 1, x 2; a voxel i covers i .. i+1 along its axis.

const PLANES = {
  z: { across: 0, rows: 1, columns: 2, name: "XY" },
  y: { across: 1, rows: 0, columns: 2, name: "XZ" },
  x: { across: 2, rows: 0, columns: 1, name: "YZ" },
  max: { across: 0, rows: 1, columns: 2, name: "maximum along z" },
};
const LETTERS = ["z", "y", "x"];

/** Size of the shown plane in voxels, and the edges of its voxels in µm (or voxels, where no size is known). */
function planeSize(viewer) {
  const plane = PLANES[viewer.axis];
  const size = viewer.shape.slice(1);
  return {
    rows: size[plane.rows],
    columns: size[plane.columns],
    rowEdge: viewer.edges[plane.rows],
    columnEdge: viewer.edges[plane.columns],
  };
}

/** Row and column of the cursor in the shown plane, from its place in the volume. */
function inPlane(viewer, at) {
  const plane = PLANES[viewer.axis];
  return { row: at[1 + plane.rows], column: at[1 + plane.columns] };
}

/** The place in the volume of a row and column of the shown plane. */
function inVolume(viewer, row, column) {
  const plane = PLANES[viewer.axis];
  const at = viewer.at.slice();
  at[1 + plane.rows] = clamp(Math.floor(row), 0, viewer.shape[1 + plane.rows] - 1);
  at[1 + plane.columns] = clamp(Math.floor(column), 0, viewer.shape[1 + plane.columns] - 1);
  return at;
}

/** From indices of the page's part to those of the whole image, and back. */
function toWhole(scene, at) {
  const step = scene.part.step || [1, 1, 1, 1];
  return at.map((index, axis) => scene.part.origin[axis] + index * step[axis]);
}

function toPart(scene, at) {
  const step = scene.part.step || [1, 1, 1, 1];
  return at.map((index, axis) => Math.round((index - scene.part.origin[axis]) / step[axis]));
}

function isInside(shape, at) {
  return at.every((index, axis) => index >= 0 && index < shape[axis]);
}

/** The view of the shown plane: the row and column in the middle of each pane, and screen pixels per µm. */
function viewOf(viewer) {
  return viewer.views[viewer.axis === "max" ? "z" : viewer.axis];
}

function fitView(viewer, width, height) {
  const size = planeSize(viewer);
  const zoom = Math.min(width / (size.columns * size.columnEdge), height / (size.rows * size.rowEdge));
  Object.assign(viewOf(viewer), { row: size.rows / 2, column: size.columns / 2, zoom, fitted: true });
}

function toScreen(viewer, pane, row, column) {
  const view = viewOf(viewer);
  const size = planeSize(viewer);
  return {
    x: (column - view.column) * size.columnEdge * view.zoom + pane.width / 2,
    y: (row - view.row) * size.rowEdge * view.zoom + pane.height / 2,
  };
}

function fromScreen(viewer, pane, x, y) {
  const view = viewOf(viewer);
  const size = planeSize(viewer);
  return {
    column: (x - pane.width / 2) / (size.columnEdge * view.zoom) + view.column,
    row: (y - pane.height / 2) / (size.rowEdge * view.zoom) + view.row,
  };
}

/** Zoom all panes by a factor, so that what lies at (x, y) stays there. */
function zoomView(viewer, pane, factor, x = pane.width / 2, y = pane.height / 2) {
  const view = viewOf(viewer);
  const size = planeSize(viewer);
  const place = fromScreen(viewer, pane, x, y);
  const edge = Math.min(size.rowEdge, size.columnEdge);
  const whole = Math.min(pane.width / (size.columns * size.columnEdge), pane.height / (size.rows * size.rowEdge));
  view.zoom = clamp(view.zoom * factor, whole / 4, Math.max(80 / edge, whole));
  const moved = fromScreen(viewer, pane, x, y);
  panView(viewer, place.row - moved.row, place.column - moved.column);
}

/** Move the view by rows and columns; the middle stays on the picture. */
function panView(viewer, rows, columns) {
  const view = viewOf(viewer);
  const size = planeSize(viewer);
  view.row = clamp(view.row + rows, 0, size.rows);
  view.column = clamp(view.column + columns, 0, size.columns);
  view.fitted = false;
}
