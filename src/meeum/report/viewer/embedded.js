"use strict";
// The source of a page that holds its images: 16-bit numbers, value = offset + scale * stored.

async function embeddedSource(scene) {
  const images = {};
  const count = scene.shape.reduce((product, length) => product * length, 1);
  const unpack = async ([name, image]) => {
    const stored = await inflate(image.data);
    if (stored.length !== count) throw new Error(`${name}: ${stored.length} voxels where ${count} were expected`);
    images[name] = { ...image, data: "", stored, values: valueTable(image), counts: new Map(), highest: new Map() };
  };
  await Promise.all(Object.entries(scene.images).map(unpack));
  return {
    hasVolume: true,
    planes: (request) => request.names.map((name) => cutPlane(images[name], scene.shape, request)),
    valueAt: (name, at) => storedValue(images[name], images[name].stored[indexOf(scene.shape, at)]),
    block: (name, t, ranges) => cutBlock(images[name], scene.shape, t, ranges),
    tally: (name, t) => tallyOf(images[name], scene.shape, t),
  };
}

/** 16-bit numbers from raw deflate in base64. */
async function inflate(text) {
  const stream = new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint16Array(await new Response(stream).arrayBuffer());
}

function bytesOf(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i += 1) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

function storedValue(image, stored) {
  return stored === image.no_data ? NaN : image.offset + image.scale * stored;
}

/** The value of each 16-bit number: looking it up is faster than working it out. */
function valueTable(image) {
  return Float32Array.from({ length: 65536 }, (_, stored) => storedValue(image, stored));
}

function indexOf(shape, [t, z, y, x]) {
  return ((t * shape[1] + z) * shape[2] + y) * shape[3] + x;
}

/** One plane of an image as it is, or its maximum along z. */
function cutPlane(image, shape, { axis, index, t }) {
  const [, depth, height, width] = shape;
  if (axis === "max") return wholePlane(height, width, highest(image, shape, t));
  const range = (letter, length) => (letter === axis ? [index, index + 1] : [0, length]);
  const ranges = [range("z", depth), range("y", height), range("x", width)];
  const { rows, columns } = PLANES[axis];
  return wholePlane(shape[1 + rows], shape[1 + columns], cutBlock(image, shape, t, ranges));
}

function wholePlane(rows, columns, values) {
  return { rows, columns, row: 0, column: 0, step: 1, values };
}

/** Values of the box [from, to) along z, y and x. */
function cutBlock(image, shape, t, [[z0, z1], [y0, y1], [x0, x1]]) {
  const found = new Float32Array((z1 - z0) * (y1 - y0) * (x1 - x0));
  let place = 0;
  for (let z = z0; z < z1; z += 1) {
    for (let y = y0; y < y1; y += 1) {
      const start = indexOf(shape, [t, z, y, 0]);
      for (let x = x0; x < x1; x += 1) found[place++] = image.values[image.stored[start + x]];
    }
  }
  return found;
}

/** Maximum along z; voxels without data never win. */
function highest(image, shape, t) {
  if (!image.highest.has(t)) {
    const size = shape[2] * shape[3];
    const found = new Float32Array(size).fill(NaN);
    for (let z = 0; z < shape[1]; z += 1) {
      const start = (t * shape[1] + z) * size;
      for (let i = 0; i < size; i += 1) {
        const value = image.values[image.stored[start + i]];
        if (value > found[i] || found[i] !== found[i]) found[i] = value;
      }
    }
    image.highest.set(t, found);
  }
  return image.highest.get(t);
}

/** The values of a frame and how often each occurs, from the lowest on. */
function tallyOf(image, shape, t) {
  if (!image.counts.has(t)) {
    const counts = new Uint32Array(65536);
    const size = shape[1] * shape[2] * shape[3];
    for (let i = t * size; i < (t + 1) * size; i += 1) counts[image.stored[i]] += 1;
    const found = { values: [], counts: [] };
    counts.forEach((count, stored) => {
      if (count === 0 || stored === image.no_data) return;
      found.values.push(image.values[stored]);
      found.counts.push(count);
    });
    image.counts.set(t, found);
  }
  return image.counts.get(t);
}
