"use strict";
// The source of a page whose planes are fetched from the server that sent it.

const KEPT_PLANES = 48;
const LONGEST_SIDE = 2048; // pixels asked for; the server averages blocks of voxels until a plane fits

function servedSource() {
  const kept = new Map(); // address -> promise of a plane, the one used last at the end
  const plane = (name, request) => {
    const address = addressOf(name, request);
    const known = kept.get(address) || fetchPlane(address, request);
    kept.delete(address);
    kept.set(address, known);
    known.catch(() => kept.delete(address));
    if (kept.size > KEPT_PLANES) kept.delete(kept.keys().next().value);
    return known;
  };
  return {
    hasVolume: false,
    planes: (request) => Promise.all(request.names.map((name) => plane(name, request))),
    valueAt: () => NaN, // the viewer looks at the plane it shows
  };
}

function addressOf(name, { axis, index, t, rows, columns }) {
  const asked = new URLSearchParams({ image: name, axis, index, t, max: LONGEST_SIDE });
  const part = rows ? `&rows=${rows.join(":")}&columns=${columns.join(":")}` : "";
  return `plane?${asked}${part}`;
}

async function fetchPlane(address, { rows, columns }) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address}: ${answer.status} ${await answer.text()}`);
  const header = (name) => Number(answer.headers.get(name));
  return {
    rows: header("X-Rows"),
    columns: header("X-Columns"),
    row: rows ? rows[0] : 0,
    column: columns ? columns[0] : 0,
    step: header("X-Step") || 1,
    values: new Float32Array(await answer.arrayBuffer()),
  };
}
