/** Words of the control block at the start of the memory. */
export const words = {
  /** Counts runs; workers sleep on it. */
  GENERATION: 0,
  /** 1 while a run goes on that workers may join. */
  OPEN: 1,
  /** Workers inside a run. */
  ACTIVE: 2,
  /** 1 when workers are to end. */
  STOP: 3,
} as const;

/** The program of a worker, as text: it starts from a string, so that no bundler has to know of a second file. */
export const workerSource: string = `
const begin = async ({ module, memory, program, steps, cells, grains, failed }) => {
  const control = new Int32Array(memory.buffer, 0, 16);
  const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
  post("ready");
  for (let seen = Atomics.load(control, ${words.GENERATION}); ; ) {
    Atomics.wait(control, ${words.GENERATION}, seen);
    seen = Atomics.load(control, ${words.GENERATION});
    if (Atomics.load(control, ${words.STOP})) return;
    Atomics.add(control, ${words.ACTIVE}, 1);
    try {
      if (Atomics.load(control, ${words.OPEN})) exports.runTogether(program, steps, cells, grains, 1, failed);
    } catch {
      Atomics.store(control, failed / 4, 1);
    }
    Atomics.sub(control, ${words.ACTIVE}, 1);
    Atomics.notify(control, ${words.ACTIVE});
  }
};
let post;
if (typeof process === "object" && typeof process.getBuiltinModule === "function") {
  const { parentPort } = process.getBuiltinModule("node:worker_threads");
  post = (text) => parentPort.postMessage(text);
  parentPort.once("message", begin);
} else {
  post = (text) => self.postMessage(text);
  self.onmessage = ({ data }) => begin(data);
}
`;
