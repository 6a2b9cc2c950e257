"use strict";
// Curves of both images, drawn with uPlot in the page's colours.

const SERIES = { noisy: "--mv-noisy", denoised: "--mv-denoised" };

function colourOf(root, name) {
  return getComputedStyle(root).getPropertyValue(name).trim();
}

/** A chart that fills `place`; `options`: x label, names, stepped, log, and `lines(u)` drawn over it. */
function chart(viewer, place, data, { x, y, names, stepped = false, log = false, over = null }) {
  const ink = colourOf(viewer.root, "--mv-soft");
  const grid = colourOf(viewer.root, "--mv-line");
  const axis = (more) => ({ stroke: ink, font: "11px system-ui, sans-serif", labelFont: "11px system-ui, sans-serif",
    labelSize: 16, ticks: { stroke: grid, size: 4 }, grid: { stroke: grid, width: 1 }, gap: 3, ...more });
  const series = names.map((name) => ({
    label: viewer.scene.images[name].title || name,
    stroke: colourOf(viewer.root, SERIES[name]),
    width: name === "denoised" ? 2 : 1.25,
    points: { show: false },
    ...(stepped ? { paths: uPlot.paths.stepped({ align: 1 }) } : {}),
  }));
  place.replaceChildren();
  return new uPlot({
    width: Math.max(160, place.clientWidth),
    height: 150,
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, points: { size: 5 } },
    scales: { x: { time: false }, y: log ? { distr: 3 } : {} },
    axes: [axis({ label: x, size: 28, space: 60 }), axis({ label: y, size: 52, space: 24, values: (_, ticks) => ticks.map(tickText) })],
    series: [{ label: x }, ...series],
    hooks: { draw: over ? [over] : [] },
  }, data, place);
}

function tickText(value) {
  if (value === null) return "";
  const size = Math.abs(value);
  if (size >= 10000) return `${Number((value / 1000).toPrecision(4))}k`;
  return String(Number(value.toPrecision(6))).replace("-", "−");
}

/** Vertical lines over a chart at values of its x axis. */
function verticals(lines) {
  return (plot) => {
    const { ctx, bbox } = plot;
    ctx.save();
    for (const { at, colour, dash } of lines) {
      const x = plot.valToPos(at, "x", true);
      if (!(x >= bbox.left && x <= bbox.left + bbox.width)) continue;
      ctx.strokeStyle = colour;
      ctx.lineWidth = 1.5 * (window.devicePixelRatio || 1);
      ctx.setLineDash(dash);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  };
}

/** The names of the curves, in their colours. */
function legend(viewer, names) {
  const entries = names.map((name) => element("span", { class: `mv-key mv-key-${name}`, text: viewer.scene.images[name].title || name }));
  return element("div", { class: "mv-legend" }, ...entries);
}
