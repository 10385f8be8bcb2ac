/**
 * The program of a worker thread, as text: it is started from a string, so that it needs no file beside the package and works in
 * every bundler. It sleeps until a dispatch opens, joins it, takes units until none is left, and sleeps again.
 *
 * A worker that wakes late may find the dispatch over and the next one being written. ACTIVE guards against reading half of
 * it: the worker counts itself in before it looks at OPEN; the caller writes only while OPEN is 0 and ACTIVE is 0.
 */
import * as words from "./control-words.ts";

/**
 * Looks at the generation this often before going to sleep, some hundred microseconds: what happens between two kernels of a solver. Waking a thread
 * costs the caller 30 microseconds where processors are virtual, and the thread comes as much later.
 */
const SPINS = 40_000;

/** Source text that runs as a CommonJS worker in Node and as a classic worker in browsers. */
export const workerSource: string = `"use strict";
const isNode = typeof process === "object" && typeof process.getBuiltinModule === "function" && !!process.versions.node;
const port = isNode ? process.getBuiltinModule("node:worker_threads").parentPort : globalThis;
const listen = (event) => start(isNode ? event : event.data);
if (isNode) port.once("message", listen); else port.onmessage = listen;

function start({ module, memory, kernelNames, scratch }) {
  const control = new Int32Array(memory.buffer, 0, ${words.WORD_COUNT});
  const numbers = new Float64Array(memory.buffer, ${words.ARGUMENTS_ADDRESS}, ${words.MAX_ARGUMENTS});
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const kernels = kernelNames.map((name) => exports[name]);
  let seen = Atomics.load(control, ${words.GENERATION});
  port.postMessage("ready");
  for (;;) {
    for (let spin = 0; spin < ${SPINS} && Atomics.load(control, ${words.GENERATION}) === seen; spin++);
    Atomics.wait(control, ${words.GENERATION}, seen);
    seen = Atomics.load(control, ${words.GENERATION});
    if (Atomics.load(control, ${words.STOP}) === 1) break;
    Atomics.add(control, ${words.ACTIVE}, 1);
    if (Atomics.load(control, ${words.OPEN}) === 1) {
      try {
        work();
      } catch (error) {
        Atomics.store(control, ${words.FAILED}, 1);
      }
    }
    if (Atomics.sub(control, ${words.ACTIVE}, 1) === 1) Atomics.notify(control, ${words.ACTIVE});
  }
  if (isNode) process.exit(); else globalThis.close();

  function work() {
    const kernel = kernels[control[${words.KERNEL}]];
    const units = control[${words.UNITS}];
    const shares = control[${words.SHARES}];
    const values = Array.from(numbers.subarray(0, control[${words.ARGUMENT_COUNT}]));
    for (;;) {
      const begin = Atomics.load(control, ${words.NEXT});
      if (begin >= units) return;
      const end = begin + Math.ceil((units - begin) / shares);
      if (Atomics.compareExchange(control, ${words.NEXT}, begin, end) === begin) kernel(begin, end, scratch, ...values);
    }
  }
}
`;
