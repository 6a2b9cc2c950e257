"use strict";
// Keys, and the page of help that is made from the same list.

const KEYS = [
  ["ArrowUp", "↑ ↓", "next or previous plane (with Page up, Page down: ten)", (viewer) => stepPlane(viewer, 1)],
  ["ArrowDown", "", "", (viewer) => stepPlane(viewer, -1)],
  ["PageUp", "", "", (viewer) => stepPlane(viewer, 10)],
  ["PageDown", "", "", (viewer) => stepPlane(viewer, -10)],
  ["ArrowRight", "→ ←", "next or previous time (or plane, where there is one time)", (viewer) => stepTime(viewer, 1)],
  ["ArrowLeft", "", "", (viewer) => stepTime(viewer, -1)],
  ["Shift ArrowUp", "Shift + arrows", "move the crosshair by one voxel", (viewer) => stepCursor(viewer, -1, 0)],
  ["Shift ArrowDown", "", "", (viewer) => stepCursor(viewer, 1, 0)],
  ["Shift ArrowLeft", "", "", (viewer) => stepCursor(viewer, 0, -1)],
  ["Shift ArrowRight", "", "", (viewer) => stepCursor(viewer, 0, 1)],
  ["b", "b", "blink: swap noisy and denoised in place", blink],
  ["a", "a", "all three pictures side by side", (viewer) => setLayout(viewer, "three")],
  ["s", "s", "swipe: noisy on one side of a divider, denoised on the other", (viewer) => setLayout(viewer, "swipe")],
  ["1", "1 2 3", "noisy, denoised or residual alone", (viewer) => showAlone(viewer, "noisy")],
  ["2", "", "", (viewer) => showAlone(viewer, "denoised")],
  ["3", "", "", (viewer) => showAlone(viewer, "residual")],
  ["z", "z y x", "planes XY, XZ, YZ", (viewer) => setAxis(viewer, "z")],
  ["y", "", "", (viewer) => setAxis(viewer, "y")],
  ["x", "", "", (viewer) => setAxis(viewer, "x")],
  ["m", "m", "maximum projection along z", (viewer) => setAxis(viewer, "max")],
  ["+", "+ −", "zoom in, zoom out (also the wheel, or two fingers)", (viewer) => zoomBy(viewer, 1.25)],
  ["=", "", "", (viewer) => zoomBy(viewer, 1.25)],
  ["-", "", "", (viewer) => zoomBy(viewer, 0.8)],
  ["f", "f", "fit the whole plane (also a double click)", fitAll],
  ["c", "c", "crosshair", toggleCrosshair],
  ["p", "p", "drag moves the picture; a click places the crosshair", (viewer) => setTool(viewer, "pan")],
  ["l", "l", "drag draws the line of the profile", (viewer) => setTool(viewer, "line")],
  ["r", "r", "drag draws the rectangle of the statistics", (viewer) => setTool(viewer, "box")],
  ["Escape", "Esc", "remove the line and the rectangle", clearMeasures],
  ["w", "w", "window from the shown plane", autoWindow],
  ["u", "u", "lock or unlock the window of both images", (viewer) => setLocked(viewer, !viewer.locked)],
  ["k", "k", "next colormap", nextColormap],
  ["n", "n", "measurements on or off", togglePanel],
  ["?", "?", "this help", (viewer) => viewer.help.showModal()],
];
const BY_HAND = [
  ["Drag", "move the picture, or draw with the chosen tool"],
  ["Shift + drag", "window and level: to the right wider, upwards a higher level"],
];

function stepTime(viewer, count) {
  if (viewer.shape[0] > 1) step(viewer, 0, count);
  else stepPlane(viewer, count);
}

function showAlone(viewer, name) {
  viewer.swapped = false;
  setLayout(viewer, "one", name);
}

function nextColormap(viewer) {
  const names = Object.keys(viewer.tables).filter((name) => name !== DIVERGING);
  setColormap(viewer, names[(names.indexOf(viewer.colormap) + 1) % names.length]);
}

/** Keys work while the viewer is in use: it fills the page, has the focus, or the pointer is over it. */
function listenToKeys(viewer) {
  document.addEventListener("keydown", (event) => {
    const used = viewer.alone || viewer.root.contains(document.activeElement) || viewer.root.matches(":hover");
    if (!used || event.ctrlKey || event.altKey || event.metaKey || viewer.help.open || isTyping(event)) return;
    const arrow = event.shiftKey && event.key.startsWith("Arrow") ? `Shift ${event.key}` : event.key;
    const known = KEYS.find(([key]) => key === arrow);
    if (!known) return;
    event.preventDefault();
    known[3](viewer);
  });
}

/** Fields keep the keys they need: all of them for text, arrows for sliders and lists. */
function isTyping({ target, key }) {
  const name = target.tagName;
  if (name === "TEXTAREA" || target.isContentEditable || (name === "INPUT" && target.type === "number")) return key !== "Escape";
  const steers = name === "SELECT" || (name === "INPUT" && target.type === "range");
  return steers && (key.startsWith("Arrow") || key.startsWith("Page") || (name === "SELECT" && key.length === 1));
}

function makeHelp() {
  const close = button("Close", "Close the help (Esc)", () => help.close());
  const shownKeys = KEYS.filter(([, keys]) => keys).map(([, keys, does]) => [keys, does]);
  const rows = [...shownKeys, ...BY_HAND].map(([keys, does]) =>
    element("tr", {}, element("th", { scope: "row" }, element("kbd", { text: keys })), element("td", { text: does })));
  const help = element("dialog", { class: "mv-help", "aria-label": "Keys" },
    element("h2", { text: "Keys" }), element("table", {}, element("tbody", {}, ...rows)), close);
  return help;
}
