// Loads dense.secateur and packed.secateur and runs them side by side. The five lines that an application needs are in `runOnce`.
import { load } from "./runtime/index.js";

/** What an application does: load once, run as often as it likes. */
async function runOnce(address, data) {
  const session = await load(address);
  const dims = session.dims.input;
  const { logits } = await session.run({ input: { data, dims } });
  return logits.data.indexOf(Math.max(...logits.data));
}

const status = document.getElementById("status");

async function open(name) {
  const bytes = new Uint8Array(await (await fetch(name)).arrayBuffer());
  const before = performance.now();
  const session = await load(bytes);
  const loadMs = performance.now() - before;
  return { name, bytes: bytes.length, session, loadMs, times: [] };
}

async function main() {
  const engines = [await open("dense.secateur"), await open("packed.secateur")];
  const { dims } = { dims: engines[0].session.dims.input };
  const size = dims.reduce((product, extent) => product * extent, 1);
  const data = Float32Array.from({ length: size }, (_, i) => Math.sin(i));
  for (let round = 0; round < 60; round++) {
    for (const { session, times } of engines) {
      // A browser's clock is coarse: several runs a reading.
      const before = performance.now();
      for (let run = 0; run < 5; run++) await session.run({ input: { data, dims } });
      times.push((performance.now() - before) / 5);
    }
  }
  const rows = document.getElementById("rows");
  for (const { name, bytes, loadMs, times } of engines) {
    const ms = times.sort((a, b) => a - b)[times.length >> 1];
    const row = rows.insertRow();
    row.dataset.ms = ms;
    row.dataset.bytes = bytes;
    for (const text of [
      name,
      bytes.toLocaleString("en"),
      loadMs.toFixed(1),
      (1000 * ms).toFixed(1),
      await runOnce(name, data),
    ]) {
      row.insertCell().textContent = text;
    }
  }
  const { build, threads } = engines[1].session;
  status.textContent = `Done: ${build}, ${threads} thread.`;
}

main().catch((error) => {
  status.textContent = `That failed: ${error.message}`;
});
