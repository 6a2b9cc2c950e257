"use strict";
// The viewer builds itself in #meeum-viewer from the scene in #meeum-scene.
//
// Other scripts of the page have a handle, `window.meeum`; places are t, z, y, x in the whole image:
//   ready                        a Promise, kept when the first picture is drawn
//   goTo(t, z, y, x)             show that place; false if the page does not hold it
//   valueAt(image, t, z, y, x)   the value in "noisy" or "denoised"; nan where there is no data
//   drawn()                      a Promise, kept when all that was asked for is drawn and measured
//   measured()                   the latest profile, histogram and statistics, as numbers

window.meeum = handle();

function handle() {
  const root = document.getElementById("meeum-viewer");
  const ready = begin().catch((error) => {
    root.replaceChildren(element("p", { class: "mv-message", role: "alert", text: `The images of this page cannot be shown: ${error.message}` }));
    return null;
  });
  const later = (act) => async (...given) => {
    const viewer = await ready;
    return viewer ? act(viewer, ...given) : null;
  };
  document.addEventListener("click", (event) => {
    const place = event.target instanceof Element && event.target.closest("[data-jump]");
    if (place) later(jump)(place.dataset.jump.split(",").map(Number));
  });
  let viewer = null;
  ready.then((made) => (viewer = made));
  return {
    ready: ready.then(() => undefined),
    goTo: (...place) => (viewer ? goTo(viewer, place) : false),
    valueAt: (name, ...place) => (viewer ? valueOfWhole(viewer, name, place) : NaN),
    drawn: later(settled),
    measured: () => (viewer ? viewer.measured : {}),
  };

  async function begin() {
    const scene = JSON.parse(document.getElementById("meeum-scene").textContent);
    const tables = colourTables(JSON.parse(document.getElementById("meeum-colormaps").textContent));
    const source = scene.source === "served" ? servedSource() : await embeddedSource(scene);
    return build(root, newState(scene, source, tables));
  }
}

/** Go where an element of the page points to, and bring the viewer into sight. */
function jump(viewer, place) {
  goTo(viewer, place);
  viewer.root.scrollIntoView({ block: "nearest", behavior: "smooth" });
}

function valueOfWhole(viewer, name, place) {
  const at = toPart(viewer.scene, place);
  if (!isInside(viewer.shape, at)) return NaN;
  if (viewer.source.hasVolume) return viewer.source.valueAt(name, at);
  const { index, t, axis } = viewer.shown;
  return at[0] === t && at[1 + PLANES[axis].across] === index ? valueHere(viewer, name, at) : NaN;
}

/** Everything in its place; kept when the first picture is drawn. */
async function build(root, viewer) {
  viewer.root = root;
  viewer.alone = document.body.classList.contains("meeum-page");
  viewer.help = makeHelp();
  viewer.panes = [];
  viewer.allPanes = [...viewer.names, ...(viewer.names.length > 1 ? ["residual"] : [])].map((image) => Object.assign(makePane(), { image }));
  viewer.stage = element("div", { class: "mv-panes" }, ...viewer.allPanes.map((pane) => pane.whole));
  const pictures = element("div", { class: "mv-main" }, viewer.stage, makeSliders(viewer));
  root.classList.add("mv");
  root.replaceChildren(...frame(viewer, pictures));
  for (const pane of viewer.allPanes) listen(viewer, pane);
  listenToKeys(viewer);
  const first = new Promise((resolve) => (viewer.firstShown = resolve));
  watch(viewer);
  changed(viewer, "planes");
  await first;
  performance.mark("meeum-ready");
  return viewer;
}

function frame(viewer, pictures) {
  const sentence = viewer.scene.part.sentence;
  return [
    makeToolbar(viewer),
    sentence ? element("p", { class: "mv-part-note", text: sentence }) : "",
    element("div", { class: "mv-body" }, pictures, makePanel(viewer)),
    viewer.help,
  ];
}

function watch(viewer) {
  new ResizeObserver(() => changed(viewer, "view", "measures")).observe(viewer.stage);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => changed(viewer, "view", "measures"));
  viewer.root.addEventListener("focusin", () => (viewer.engaged = true));
}

/** Show the panes of the layout, in the grid that makes the pictures largest. */
function arrange(viewer) {
  const wanted = viewer.layout === "three" || viewer.names.length < 2 ? viewer.allPanes : [viewer.allPanes[0]];
  viewer.allPanes[0].image = viewer.layout === "one" ? viewer.single : viewer.names[0];
  viewer.panes = wanted;
  for (const pane of viewer.allPanes) pane.whole.hidden = !wanted.includes(pane);
  viewer.stage.style.setProperty("--mv-columns", bestColumns(viewer, wanted.length));
  for (const pane of wanted) describePane(viewer, pane);
  for (const pane of wanted) measurePane(pane);
  if (viewOf(viewer).fitted) fitView(viewer, wanted[0].width, wanted[0].height);
}

/** Columns of the grid of panes; side by side unless another grid is clearly better. */
function bestColumns(viewer, count) {
  const size = planeSize(viewer);
  const caption = 26;
  const scale = (columns) => Math.min(
    viewer.stage.clientWidth / columns / (size.columns * size.columnEdge),
    (viewer.stage.clientHeight / Math.ceil(count / columns) - caption) / (size.rows * size.rowEdge));
  let best = count;
  for (let columns = count - 1; columns > 0; columns -= 1) if (scale(columns) > 1.1 * scale(best)) best = columns;
  return best;
}

/** The heading of a pane: what it shows, and which values its colours stand for. */
function describePane(viewer, pane) {
  const names = picturesOf(viewer, pane).map(({ name }) => name);
  const titles = names.map((name) => titleOf(viewer, name));
  pane.title.textContent = titles.join(" | ");
  pane.title.title = names[0] === "residual" ? "noisy − denoised" : "";
  pane.whole.dataset.pane = names.join(" ");
  const [low, high] = viewer.windows[names[0]];
  const digits = digitsOf(10 ** Math.floor(Math.log10((high - low) / 50)));
  pane.low.textContent = shown(low, digits);
  pane.high.textContent = shown(high, digits);
  pane.ramp.style.background = gradient(viewer.tables[names[0] === "residual" ? DIVERGING : viewer.colormap]);
  pane.canvas.setAttribute("aria-label", `${titles.join(" and ")}, plane ${PLANES[viewer.axis].name}`);
}

function titleOf(viewer, name) {
  if (name !== "residual") return viewer.scene.images[name].title || name;
  return viewer.axis === "max" ? "difference of projections" : "residual";
}

function say(viewer, text) {
  viewer.message.textContent = text;
}

function complain(viewer, error) {
  say(viewer, `Could not be loaded: ${error.message}`);
  viewer.firstShown();
}

/** Kept when nothing is left to load, draw or measure. */
async function settled(viewer) {
  const frame = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 0)));
  do await frame();
  while (viewer.dirty.size || viewer.loading);
  clearTimeout(viewer.measuring);
  measureAll(viewer);
}
