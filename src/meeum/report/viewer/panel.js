"use strict";
// The side panel: windows, histogram and threshold, profile, statistics of a rectangle, spots.

function makePanel(viewer) {
  const sections = [windowSection(viewer), histogramSection(viewer), regionSection(viewer), profileSection(viewer), spotSection(viewer)];
  viewer.panel = element("aside", { class: "mv-panel", "aria-label": "Measurements" }, ...sections);
  return viewer.panel;
}

function section(title, open, ...content) {
  return element("details", { open }, element("summary", { text: title }), ...content);
}

/** Four numbers for each image: low and high, or level and width, of the same window. */
function windowSection(viewer) {
  viewer.fields = {};
  const table = element("tbody", {}, ...viewer.names.map((name) => windowRow(viewer, name)));
  const heads = ["", "low", "high", "level", "width"].map((text) => element("th", { scope: "col", text }));
  const lock = checkBox("one window for both", (locked) => setLocked(viewer, locked), true);
  viewer.fields.lock = lock.input;
  const residual = numberField("residual ±", (half) => setWindow(viewer, "residual", [-Math.abs(half), Math.abs(half)]));
  viewer.fields.residual = residual.input;
  const pair = viewer.names.length > 1;
  return section("Window", true, element("table", { class: "mv-windows" }, element("thead", {}, element("tr", {}, ...heads)), table),
    element("div", { class: "mv-row" }, pair ? lock.whole : null, pair ? residual.whole : null,
      button("Auto", "From the shown plane (w)", () => autoWindow(viewer)), button("Reset", "As at the start", () => resetWindows(viewer))));
}

function windowRow(viewer, name) {
  const inputs = ["low", "high", "level", "width"].map((which) => {
    const { input } = numberField(which, (value) => setWindow(viewer, name, windowWith(viewer.windows[name], which, value)));
    input.setAttribute("aria-label", `${which} of ${name}, ${viewer.scene.quantity}`);
    return input;
  });
  viewer.fields[name] = inputs;
  return element("tr", { "data-image": name }, element("th", { scope: "row", text: viewer.scene.images[name].title || name }),
    ...inputs.map((input) => element("td", {}, input)));
}

function windowWith([low, high], which, value) {
  if (which === "low") return [value, Math.max(high, value)];
  if (which === "high") return [Math.min(low, value), value];
  const [level, width] = which === "level" ? [value, high - low] : [(low + high) / 2, Math.abs(value)];
  return [level - width / 2, level + width / 2];
}

function showWindows(viewer) {
  const { fields, windows } = viewer;
  const locked = viewer.locked && viewer.names.length > 1;
  viewer.names.forEach((name, i) => {
    const [low, high] = windows[name];
    [low, high, (low + high) / 2, high - low].forEach((value, j) => fill(fields[name][j], entered(value, high - low)));
    const row = fields[name][0].closest("tr");
    row.hidden = locked && i > 0;
    row.firstChild.textContent = locked ? "both" : viewer.scene.images[name].title || name;
  });
  fields.lock.checked = viewer.locked;
  fill(fields.residual, entered(windows.residual[1], windows.residual[1]));
}

function histogramSection(viewer) {
  const parts = (viewer.histogram = { place: element("div", { class: "mv-chart" }), table: element("table", { class: "mv-table" }) });
  const source = dropDown("Histogram of", [["plane", "this plane"], ["volume", viewer.flat ? "the frame" : "the volume"]],
    (event) => setMeasure(viewer, "ofVolume", event.target.value === "volume"));
  const log = checkBox("log", (on) => setMeasure(viewer, "logarithmic", on));
  const outlined = checkBox("outline", (on) => setMeasure(viewer, "outlined", on));
  const threshold = numberField("threshold", (value) => setThreshold(viewer, value));
  parts.threshold = threshold.input;
  parts.range = element("input", { type: "range", "aria-label": "Threshold", step: "any", oninput: () => setThreshold(viewer, parts.range.valueAsNumber) });
  return section("Histogram and threshold", true,
    element("div", { class: "mv-row" }, viewer.source.hasVolume ? source : null, log.whole, legend(viewer, viewer.names)),
    parts.place, element("div", { class: "mv-row" }, threshold.whole, parts.range, outlined.whole), parts.table);
}

function profileSection(viewer) {
  const parts = (viewer.profile = { place: element("div", { class: "mv-chart" }), hint: element("p", { class: "mv-soft" }) });
  const width = numberField("width, voxels", (value) => setMeasure(viewer, "lineWidth", clamp(Math.round(value), 1, 99)), { min: 1, max: 99, step: 1 });
  parts.width = width.input;
  return section("Line profile", true, element("div", { class: "mv-row" }, width.whole, legend(viewer, viewer.names)), parts.hint, parts.place);
}

function regionSection(viewer) {
  const parts = (viewer.region = { table: element("table", { class: "mv-table" }), hint: element("p", { class: "mv-soft" }) });
  const deep = checkBox("through all planes", (on) => setMeasure(viewer, "deep", on));
  const medium = numberField("n of medium", (value) => setMeasure(viewer, "medium", value));
  const alpha = numberField("α, µm³/pg", (value) => setMeasure(viewer, "alpha", value), { min: 0 });
  Object.assign(parts, { medium: medium.input, alpha: alpha.input });
  const mass = hasMass(viewer) ? element("div", { class: "mv-row" }, medium.whole, alpha.whole) : null;
  return section("Region", true, parts.hint, parts.table, element("div", { class: "mv-row" }, viewer.source.hasVolume && !viewer.flat ? deep.whole : null), mass);
}

function spotSection(viewer) {
  if (!viewer.spots.length) return element("span", { hidden: true });
  const entries = viewer.spots.map((spot) => {
    const title = spot.inside ? `Go to t, z, y, x = ${spot.at.join(", ")}` : "Outside the part that this page holds";
    const made = button(`${spot.number}  ${spot.label}`, title, null);
    made.dataset.jump = spot.at.join(",");
    made.disabled = !spot.inside;
    return element("li", {}, made, element("span", { class: `mv-verdict mv-${spot.verdict}`, text: spot.verdict || "" }));
  });
  return section("Spots", true, element("ol", { class: "mv-spots" }, ...entries));
}

function hasMass(viewer) {
  return viewer.scene.quantity === "refractive index" && viewer.scene.voxel_um !== null && viewer.shape[1] > 1;
}

/** A table with one row per measure and one column per image. */
function fillTable(viewer, table, rows) {
  const head = ["", ...viewer.names.map((name) => viewer.scene.images[name].title || name)];
  table.replaceChildren(
    element("thead", {}, element("tr", {}, ...head.map((text) => element("th", { scope: "col", text })))),
    element("tbody", {}, ...rows.map(([name, ...values]) => element("tr", { "data-row": name },
      element("th", { scope: "row", text: name }), ...values.map((text) => element("td", { text }))))),
  );
}
