"use strict";
// One picture: its heading, its canvas, and what is drawn over the image.

function makePane() {
  const title = element("span", { class: "mv-title" });
  const low = element("span", { class: "mv-number" });
  const ramp = element("span", { class: "mv-ramp", "aria-hidden": "true" });
  const high = element("span", { class: "mv-number" });
  const canvas = element("canvas", { class: "mv-canvas", role: "img" });
  const caption = element("figcaption", {}, title, element("span", { class: "mv-scale" }, low, ramp, high));
  const whole = element("figure", { class: "mv-pane" }, caption, element("div", { class: "mv-stage" }, canvas));
  return { whole, title, low, ramp, high, canvas, width: 0, height: 0, image: "noisy" };
}

/** Fit the canvas to its place on the page, sharp on dense screens. */
function measurePane(pane) {
  const place = pane.canvas.parentElement;
  const dense = window.devicePixelRatio || 1;
  pane.width = Math.max(1, place.clientWidth);
  pane.height = Math.max(1, place.clientHeight);
  const [width, height] = [Math.round(pane.width * dense), Math.round(pane.height * dense)];
  if (pane.canvas.width !== width) pane.canvas.width = width;
  if (pane.canvas.height !== height) pane.canvas.height = height;
}

/** Draw `pictures` (name, from, to: shares of the pane's width) and everything over them. */
function drawPane(viewer, pane, pictures) {
  const context = pane.canvas.getContext("2d");
  const dense = pane.canvas.width / pane.width;
  context.setTransform(dense, 0, 0, dense, 0, 0);
  context.clearRect(0, 0, pane.width, pane.height);
  context.imageSmoothingEnabled = false;
  for (const picture of pictures) drawPicture(viewer, pane, context, picture);
  if (viewer.layout === "swipe" && pictures.length > 1) drawDivider(pane, context, pictures[1].from);
  drawMarks(viewer, pane, context);
  drawMeasures(viewer, pane, context);
  if (viewer.crosshair) drawCrosshair(viewer, pane, context);
  drawScaleBar(viewer, pane, context);
}

function drawPicture(viewer, pane, context, { name, from, to }) {
  const size = planeSize(viewer);
  const zoom = viewOf(viewer).zoom;
  context.save();
  context.beginPath();
  context.rect(from * pane.width, 0, (to - from) * pane.width, pane.height);
  context.clip();
  for (const { plane, painted } of viewer.painted[name] || []) {
    const start = toScreen(viewer, pane, plane.row, plane.column);
    const width = plane.columns * plane.step * size.columnEdge * zoom;
    const height = plane.rows * plane.step * size.rowEdge * zoom;
    context.drawImage(painted, start.x, start.y, width, height);
  }
  context.restore();
}

/** A line that is seen on any picture: white, with a dark edge. */
function twice(context, width, draw) {
  for (const [style, wide] of [["rgb(0 0 0 / 75%)", width + 2.5], ["#fff", width]]) {
    context.strokeStyle = style;
    context.lineWidth = wide;
    context.beginPath();
    draw(context);
    context.stroke();
  }
}

function label(context, text, x, y) {
  context.font = "600 12px system-ui, sans-serif";
  context.lineJoin = "round";
  context.strokeStyle = "rgb(0 0 0 / 75%)";
  context.lineWidth = 3;
  context.strokeText(text, x, y);
  context.fillStyle = "#fff";
  context.fillText(text, x, y);
}

function drawDivider(pane, context, share) {
  const x = share * pane.width;
  twice(context, 1.5, () => (context.moveTo(x, 0), context.lineTo(x, pane.height)));
}

/** Rings around the spots that lie in the shown plane. */
function drawMarks(viewer, pane, context) {
  const across = PLANES[viewer.axis].across;
  for (const spot of viewer.spots) {
    const [t, ...place] = spot.here;
    const near = viewer.axis === "max" || place[across] === viewer.at[1 + across];
    if (!spot.inside || !near || t !== viewer.at[0]) continue;
    const { row, column } = inPlane(viewer, spot.here);
    const { x, y } = toScreen(viewer, pane, row + 0.5, column + 0.5);
    twice(context, 2, () => context.arc(x, y, 9, 0, 2 * Math.PI));
    label(context, String(spot.number), x + 12, y + 4);
  }
}

function drawMeasures(viewer, pane, context) {
  if (viewer.line) {
    const from = toScreen(viewer, pane, viewer.line.from.row + 0.5, viewer.line.from.column + 0.5);
    const to = toScreen(viewer, pane, viewer.line.to.row + 0.5, viewer.line.to.column + 0.5);
    drawBand(viewer, context, from, to);
    twice(context, 1.5, () => (context.moveTo(from.x, from.y), context.lineTo(to.x, to.y)));
    for (const end of [from, to]) twice(context, 1.5, () => context.arc(end.x, end.y, 3.5, 0, 2 * Math.PI));
  }
  if (viewer.box) {
    const { rows, columns } = viewer.box;
    const start = toScreen(viewer, pane, rows[0], columns[0]);
    const end = toScreen(viewer, pane, rows[1], columns[1]);
    twice(context, 1.5, () => context.rect(start.x, start.y, end.x - start.x, end.y - start.y));
  }
}

/** The width over which a profile is averaged. */
function drawBand(viewer, context, from, to) {
  const wide = viewer.lineWidth * profileStep(viewer) * viewOf(viewer).zoom;
  if (viewer.lineWidth < 2) return;
  context.save();
  context.globalAlpha = 0.25;
  context.strokeStyle = "#fff";
  context.lineWidth = wide;
  context.beginPath();
  context.moveTo(from.x, from.y);
  context.lineTo(to.x, to.y);
  context.stroke();
  context.restore();
}

function drawCrosshair(viewer, pane, context) {
  const { row, column } = inPlane(viewer, viewer.hover || viewer.at);
  const { x, y } = toScreen(viewer, pane, row + 0.5, column + 0.5);
  const gap = 7;
  twice(context, 1, () => {
    for (const [a, b, c, d] of [[0, y, x - gap, y], [x + gap, y, pane.width, y], [x, 0, x, y - gap], [x, y + gap, x, pane.height]]) {
      context.moveTo(a, b);
      context.lineTo(c, d);
    }
  });
}

/** A bar of a round length, at most a third of the pane, lower left. */
function drawScaleBar(viewer, pane, context) {
  const zoom = viewOf(viewer).zoom;
  const length = roundBelow(Math.min(pane.width / 3.5, 220) / zoom);
  const wide = length * zoom;
  const [x, y] = [12, pane.height - 14];
  twice(context, 3, () => (context.moveTo(x, y), context.lineTo(x + wide, y)));
  label(context, `${Number(length.toPrecision(6))} ${viewer.unit}`, x, y - 9);
}
