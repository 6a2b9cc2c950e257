"use strict";
// Mouse, pen and fingers on the pictures.

function listen(viewer, pane) {
  const canvas = pane.canvas;
  const touches = new Map(); // pointer id -> where it was last
  let doing = null; // what the pointer pressed now does: a function of (place, event)
  canvas.onpointerdown = (event) => {
    viewer.engaged = true;
    canvas.setPointerCapture(event.pointerId);
    touches.set(event.pointerId, placeOf(canvas, event));
    doing = touches.size === 1 && event.button < 2 ? begin(viewer, pane, event) : null;
  };
  canvas.onpointermove = (event) => {
    const place = placeOf(canvas, event);
    if (touches.size === 2 && touches.has(event.pointerId)) pinch(viewer, pane, touches, event.pointerId, place);
    else if (doing && touches.has(event.pointerId)) doing(place, touches.get(event.pointerId), event);
    if (touches.has(event.pointerId)) touches.set(event.pointerId, place);
    hover(viewer, pane, place);
  };
  canvas.onpointerup = canvas.onpointercancel = (event) => {
    touches.delete(event.pointerId);
    if (doing && doing.end) doing.end(placeOf(canvas, event));
    doing = null;
  };
  canvas.onpointerleave = () => hover(viewer, pane, null);
  canvas.addEventListener("wheel", (event) => wheel(viewer, pane, event), { passive: false });
  canvas.ondblclick = () => viewer.tool === "pan" && fitAll(viewer);
}

function placeOf(canvas, event) {
  const box = canvas.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}

/** The wheel zooms a viewer that fills the page; inside a longer page it does so once the viewer was clicked. */
function wheel(viewer, pane, event) {
  if (!viewer.engaged && !viewer.alone && !event.ctrlKey) return;
  event.preventDefault();
  const { x, y } = placeOf(pane.canvas, event);
  const lines = event.deltaMode === 1 ? 20 : 1;
  zoomView(viewer, pane, Math.exp(-clamp(event.deltaY * lines, -240, 240) / 400), x, y);
  changed(viewer, "view");
}

function begin(viewer, pane, event) {
  const start = placeOf(pane.canvas, event);
  const divider = viewer.layout === "swipe" && Math.abs(start.x - viewer.divider * pane.width) < 9;
  if (divider) return (place) => moveDivider(viewer, place.x / pane.width);
  if (event.shiftKey) return (place, last) => shiftWindow(viewer, pane, place, last);
  if (viewer.tool === "line" && event.button === 0) return drawingLine(viewer, pane, start);
  if (viewer.tool === "box" && event.button === 0) return drawingBox(viewer, pane, start);
  return panning(viewer, pane, start);
}

/** Drag moves the picture; a click without a drag puts the cursor there. */
function panning(viewer, pane, start) {
  let moved = false;
  const move = (place, last) => {
    if (!moved && Math.hypot(place.x - start.x, place.y - start.y) < 4) return;
    const [before, after] = [moved ? last : start, place].map(({ x, y }) => fromScreen(viewer, pane, x, y));
    moved = true;
    panView(viewer, before.row - after.row, before.column - after.column);
    changed(viewer, "view");
  };
  move.end = (place) => {
    const { row, column } = fromScreen(viewer, pane, place.x, place.y);
    if (!moved) moveTo(viewer, inVolume(viewer, row, column));
  };
  return move;
}

/** The voxel under a place of the screen, kept inside the plane. */
function voxelAt(viewer, pane, { x, y }) {
  const { row, column } = fromScreen(viewer, pane, x, y);
  return inPlane(viewer, inVolume(viewer, row, column));
}

function drawingLine(viewer, pane, start) {
  const from = voxelAt(viewer, pane, start);
  return (place) => setLine(viewer, { from, to: voxelAt(viewer, pane, place) });
}

function drawingBox(viewer, pane, start) {
  const one = voxelAt(viewer, pane, start);
  return (place) => {
    const other = voxelAt(viewer, pane, place);
    const range = (key) => [Math.min(one[key], other[key]), Math.max(one[key], other[key]) + 1];
    setBox(viewer, { rows: range("row"), columns: range("column") });
  };
}

/** Shift and drag: to the right widens the window, upwards raises its level. */
function shiftWindow(viewer, pane, place, last) {
  const name = pane.image;
  const [low, high] = viewer.windows[name];
  const width = (high - low) * Math.exp((place.x - last.x) / 200);
  const level = (low + high) / 2 + ((last.y - place.y) / 300) * (name === "residual" ? 0 : high - low);
  setWindow(viewer, name, [level - width / 2, level + width / 2]);
}

/** Two fingers: zoom by how far they part, and move along with them. */
function pinch(viewer, pane, touches, id, place) {
  const other = [...touches].find(([key]) => key !== id)[1];
  const last = touches.get(id);
  const apart = (one) => Math.max(1, Math.hypot(one.x - other.x, one.y - other.y));
  zoomView(viewer, pane, apart(place) / apart(last), other.x, other.y);
  changed(viewer, "view");
}

function hover(viewer, pane, place) {
  const { row, column } = place ? fromScreen(viewer, pane, place.x, place.y) : { row: -1, column: -1 };
  const size = planeSize(viewer);
  const inside = row >= 0 && column >= 0 && row < size.rows && column < size.columns;
  viewer.hover = inside ? inVolume(viewer, row, column) : null;
  pane.canvas.style.cursor = viewer.tool === "pan" ? "" : "crosshair";
  readOut(viewer);
  if (viewer.crosshair) changed(viewer, "view");
}
