"use strict";
// The toolbar above the pictures, the sliders and the read-out below them.

function makeToolbar(viewer) {
  const parts = viewer.controls;
  const pair = viewer.names.length > 1;
  parts.planes = choice("Plane", [["z", "XY", "Plane XY (z)"], ["y", "XZ", "Plane XZ (y)"], ["x", "YZ", "Plane YZ (x)"],
    ["max", "Max", "Maximum projection along z (m)"]], (axis) => setAxis(viewer, axis));
  parts.layouts = choice("Layout", [["three", "All", "All pictures side by side (a)"], ["swipe", "Swipe", "Noisy and denoised on two sides of a divider (s)"],
    ["one", "One", "One picture (1, 2, 3)"]], (layout) => setLayout(viewer, layout));
  parts.blink = button("Blink", "Swap noisy and denoised in place (b)", () => blink(viewer));
  parts.tools = choice("Tool", [["pan", "Move", "Drag moves the picture (p)"], ["line", "Line", "Drag draws the line of the profile (l)"],
    ["box", "Region", "Drag draws the rectangle of the statistics (r)"]], (tool) => setTool(viewer, tool));
  const maps = Object.keys(viewer.tables).filter((name) => name !== DIVERGING).map((name) => [name, name]);
  parts.colormap = dropDown("Colormap", maps, (event) => setColormap(viewer, event.target.value));
  parts.crosshair = button("Crosshair", "Crosshair in all pictures (c)", () => toggleCrosshair(viewer));
  parts.measure = button("Measure", "Window, histogram, profile and statistics on or off (n)", () => togglePanel(viewer));
  const zoom = element("div", { class: "mv-choice", role: "group", "aria-label": "Zoom" },
    button("−", "Zoom out (-)", () => zoomBy(viewer, 0.8)), button("+", "Zoom in (+)", () => zoomBy(viewer, 1.25)),
    button("Fit", "Fit the whole plane (f)", () => fitAll(viewer)));
  return element("div", { class: "mv-toolbar", role: "toolbar", "aria-label": "Viewer" },
    viewer.flat ? null : parts.planes, pair ? parts.layouts : null, pair ? parts.blink : null, parts.tools, zoom, parts.colormap,
    parts.crosshair, element("span", { class: "mv-space" }), parts.measure, button("?", "Keys (?)", () => viewer.help.showModal()));
}

/** A slider with its label; `take` gets its value as it moves. */
function slider(label, take, attributes) {
  const text = element("span", { class: "mv-slider-text" });
  const input = element("input", { type: "range", "aria-label": label, ...attributes });
  input.oninput = () => take(input.valueAsNumber);
  return { input, text, whole: element("label", { class: "mv-slider" }, text, input) };
}

function makeSliders(viewer) {
  const parts = viewer.controls;
  parts.index = slider("Plane", (index) => step(viewer, 1 + PLANES[viewer.axis].across, index - viewer.at[1 + PLANES[viewer.axis].across]), { min: 0, step: 1 });
  parts.time = slider("Time", (t) => step(viewer, 0, t - viewer.at[0]), { min: 0, step: 1, max: viewer.shape[0] - 1 });
  parts.divider = slider("Divider", (share) => moveDivider(viewer, share), { min: 0, max: 1, step: "any" });
  parts.divider.text.textContent = "divider";
  viewer.output = element("output", { class: "mv-readout", "aria-live": "polite", "aria-atomic": "true" });
  viewer.message = element("p", { class: "mv-message", role: "status" });
  return element("div", { class: "mv-foot" },
    element("div", { class: "mv-sliders" }, viewer.flat ? null : parts.index.whole, viewer.shape[0] > 1 ? parts.time.whole : null, parts.divider.whole),
    viewer.output, viewer.message);
}

/** Controls as the state has them. */
function showControls(viewer) {
  const parts = viewer.controls;
  press(parts.planes, viewer.axis);
  press(parts.layouts, viewer.layout);
  press(parts.tools, viewer.tool);
  parts.blink.setAttribute("aria-pressed", String(viewer.swapped));
  parts.crosshair.setAttribute("aria-pressed", String(viewer.crosshair));
  parts.measure.setAttribute("aria-pressed", String(!viewer.panel.hidden));
  parts.colormap.value = viewer.colormap;
  showSliders(viewer);
  showWindows(viewer);
}

function showSliders(viewer) {
  const { index, time, divider } = viewer.controls;
  const axis = 1 + PLANES[viewer.axis].across;
  const place = toWhole(viewer.scene, viewer.at);
  const [letter, last] = [LETTERS[axis - 1], viewer.scene.part.whole[axis] - 1];
  index.input.max = viewer.shape[axis] - 1;
  index.input.value = viewer.at[axis];
  index.input.disabled = viewer.axis === "max";
  index.input.setAttribute("aria-label", `Plane along ${letter}`);
  const depth = viewer.scene.voxel_um ? ` · ${brief(place[axis] * viewer.edges[axis], 3)} µm` : "";
  index.text.textContent = viewer.axis === "max" ? "maximum along z" : `${letter} ${place[axis]} of 0–${last}${depth}`;
  time.input.value = viewer.at[0];
  const seconds = viewer.scene.frame_interval_s ? ` · ${brief(place[0] * viewer.scene.frame_interval_s, 3)} s` : "";
  time.text.textContent = `t ${place[0]} of 0–${viewer.scene.part.whole[0] - 1}${seconds}`;
  divider.whole.hidden = viewer.layout !== "swipe";
  divider.input.value = viewer.divider;
}

/** Position and values under the pointer, or at the crosshair. */
function readOut(viewer) {
  const at = viewer.hover || (viewer.crosshair ? viewer.at : null);
  if (!at || !viewer.planes[viewer.names[0]]) {
    viewer.output.replaceChildren(element("span", { class: "mv-hint", text: hint(viewer) }));
    return;
  }
  const values = viewer.names.map((name) => valueHere(viewer, name, at));
  const texts = viewer.names.map((name, i) => valueText(viewer, name, values[i]));
  if (values.length > 1) texts.push(part("difference", "difference", shown(values[0] - values[1], Math.max(...Object.values(viewer.digits)))));
  viewer.output.replaceChildren(part("place", "", placeText(viewer, at)), ...texts);
}

function hint(viewer) {
  return viewer.alone || viewer.engaged ? "Point at a picture to read its values." : "Point at a picture to read its values; click it, then the wheel zooms.";
}

function part(name, label, text) {
  return element("span", { class: "mv-part", "data-part": name }, element("span", { class: "mv-soft", text: label ? `${label} ` : "" }), element("b", { text }));
}

function placeText(viewer, at) {
  const whole = toWhole(viewer.scene, at);
  const letters = ["t", ...LETTERS];
  const hidden = (axis) => (axis === 0 && viewer.scene.part.whole[0] === 1) || (axis === 1 && (viewer.flat || viewer.axis === "max"));
  return letters.map((letter, axis) => (hidden(axis) ? "" : `${letter} ${whole[axis]}`)).filter(Boolean).join("  ");
}

function valueText(viewer, name, value) {
  const image = viewer.scene.images[name];
  const known = !image.exact && image.scale && Number.isFinite(value);
  const unit = viewer.scene.unit ? ` ${viewer.scene.unit}` : "";
  const made = part(name, image.title || name, shown(value, viewer.digits[name]) + (known ? "" : unit));
  if (known) made.append(element("span", { class: "mv-soft", text: ` ± ${brief(image.scale / 2, 1)}${unit}`, title: "Half a step of the 16-bit numbers in this page" }));
  return made;
}

/** The value at a place: as stored, or of the shown plane where that is a projection or comes from a server. */
function valueHere(viewer, name, at) {
  if (viewer.source.hasVolume && viewer.axis !== "max") return viewer.source.valueAt(name, at);
  const { row, column } = inPlane(viewer, at);
  for (const plane of (viewer.planes[name] || []).slice().reverse()) {
    const value = valueOf(plane, Math.floor((row - plane.row) / plane.step), Math.floor((column - plane.column) / plane.step));
    if (value === value) return value;
  }
  return NaN;
}
