"use strict";
// From values to colours.

const NO_DATA = [150, 150, 150];
const DIVERGING = "residual"; // the name of its table

/** Tables of 256 colours, as 32-bit pixels, from text of six hexadecimal digits each. */
function colourTables(texts) {
  const tables = {};
  for (const [name, text] of Object.entries(texts)) {
    tables[name] = Uint32Array.from({ length: 256 }, (_, i) => pixelOf(parseInt(text.slice(6 * i, 6 * i + 6), 16)));
  }
  return tables;
}

function pixelOf(colour) {
  return pixel((colour >> 16) & 255, (colour >> 8) & 255, colour & 255);
}

function pixel(red, green, blue) {
  return (255 << 24) | (blue << 16) | (green << 8) | red; // bytes of a pixel lie in the order red, green, blue, alpha
}

/** A plane in colours on a canvas of one pixel per value; what exceeds `threshold` is outlined, if one is given. */
function paint(canvas, plane, table, [low, high], threshold) {
  if (canvas.width !== plane.columns) canvas.width = plane.columns;
  if (canvas.height !== plane.rows) canvas.height = plane.rows;
  const context = canvas.getContext("2d");
  const image = context.createImageData(plane.columns, plane.rows);
  const pixels = new Uint32Array(image.data.buffer);
  const factor = 256 / (high - low);
  const missing = pixel(...NO_DATA);
  for (let i = 0; i < pixels.length; i += 1) {
    const share = (plane.values[i] - low) * factor;
    pixels[i] = share !== share ? missing : table[share <= 0 ? 0 : share >= 255 ? 255 : share | 0];
  }
  if (threshold !== null) outline(pixels, plane, threshold, outlineColour(table, (threshold - low) * factor));
  context.putImageData(image, 0, 0);
}

/** Mark values above a threshold that have a neighbour which is not. */
function outline(pixels, { rows, columns, values }, threshold, colour) {
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const i = row * columns + column;
      if (!(values[i] > threshold)) continue;
      const inside =
        (column === 0 || values[i - 1] > threshold) &&
        (column === columns - 1 || values[i + 1] > threshold) &&
        (row === 0 || values[i - columns] > threshold) &&
        (row === rows - 1 || values[i + columns] > threshold);
      if (!inside) pixels[i] = colour;
    }
  }
}

/** White where the colours at the threshold are dark, black where they are light: seen by everyone. */
function outlineColour(table, share) {
  const colour = table[clamp(share | 0, 0, 255)];
  const light = 0.3 * (colour & 255) + 0.59 * ((colour >> 8) & 255) + 0.11 * ((colour >> 16) & 255);
  return light < 140 ? pixel(255, 255, 255) : pixel(0, 0, 0);
}

/** The table as a CSS gradient, from low on the left to high on the right. */
function gradient(table) {
  const stops = Array.from({ length: 18 }, (_, i) => table[i * 15]);
  const names = stops.map((colour) => `rgb(${colour & 255} ${(colour >> 8) & 255} ${(colour >> 16) & 255})`);
  return `linear-gradient(to right, ${names.join(", ")})`;
}
