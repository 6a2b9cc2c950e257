// Charts that answer to the pointer: each figure.chart holds its values as JSON and a still picture. Where uPlot is
// there it takes the picture's place on screens; in print and without scripts the picture stays.
"use strict";
(() => {
  const figures = [...document.querySelectorAll("figure.chart")];
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const shown = (value) => (value === null || value === undefined ? "–" : String(Number(value.toPrecision(4))));

  function axis(label, size) {
    return {
      label, size, labelSize: 22, stroke: () => colour("--ink"), font: "12px system-ui, sans-serif",
      labelFont: "12px system-ui, sans-serif", grid: { stroke: () => colour("--line"), width: 1 },
      ticks: { stroke: () => colour("--line"), width: 1 },
    };
  }

  function line(series) {
    return {
      label: series.name, stroke: () => colour(`--curve-${series.key}`), width: 2, dash: series.key === 2 ? [6, 4] : [],
      spanGaps: true, value: (_, value) => shown(value),
      points: { show: series.y.filter((y) => y !== null).length <= 40, size: 5 },
    };
  }

  function options(values, width, logarithmic) {
    return {
      width, height: 260, scales: { x: { time: false }, y: { distr: logarithmic ? 3 : 1 } },
      axes: [axis(values.xLabel, 30), axis(values.yLabel, 64)],
      series: [{ label: values.xName, value: (_, value) => shown(value) }, ...values.series.map(line)],
      cursor: { drag: { x: true, y: false } },
    };
  }

  function build(figure) {
    const values = JSON.parse(figure.querySelector("script").textContent);
    const place = figure.querySelector(".plot");
    const data = [values.x, ...values.series.map((series) => series.y)];
    let logarithmic = Boolean(values.logarithmic);
    let plot = null;
    const draw = () => {
      if (plot) plot.destroy();
      plot = new uPlot(options(values, Math.max(place.clientWidth, 200), logarithmic), data, place);
    };
    figure.classList.add("live");
    draw();
    new ResizeObserver(() => {
      if (place.clientWidth > 0 && place.clientWidth !== plot.width) plot.setSize({ width: place.clientWidth, height: 260 });
    }).observe(place);
    const button = figure.querySelector("button.scale");
    if (button) {
      const tell = () => { button.setAttribute("aria-pressed", String(logarithmic)); };
      button.addEventListener("click", () => { logarithmic = !logarithmic; draw(); tell(); });
      tell();
    }
    return () => plot.redraw(false);
  }

  if (typeof uPlot === "undefined") return;
  const redraws = figures.map(build);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", () => redraws.forEach((redraw) => redraw()));
})();
