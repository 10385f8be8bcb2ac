import { readdir, readFile } from "node:fs/promises";
import { Writable } from "node:stream";
import { readCheckpoint } from "@secateur/formats";
import { expect, test } from "vitest";
import { temporaryFolder } from "../testing.test-support.ts";
import { runDemo } from "./run-demo.ts";

test("the demo prints a row a run and leaves networks, report and plot", async () => {
  const folder = await temporaryFolder();
  let printed = "";
  const stdout = new Writable({
    write(chunk, _encoding, done) {
      printed += String(chunk);
      done();
    },
  });
  const terminal = {
    stdout,
    stderr: new Writable({ write: (_c, _e, done) => done() }),
    cwd: folder,
    signal: new AbortController().signal,
  };
  await runDemo({ terminal, folder, solvers: ["magnitude"], sparsities: [0.9, 0.98] });

  const [, accuracy] = /mlpnet, 32,360 weights: (\S+) % of 10,000 test images/.exec(printed) ?? [];
  // The bundled network is promised to classify 95 % rightly.
  expect(Number(accuracy)).toBeGreaterThanOrEqual(95);
  expect(printed).toMatch(/^magnitude +90 % +\S+ % +3,236 /m);
  expect(printed).toMatch(/^magnitude +98 % +\S+ % +647 /m);
  // f32 weights, 4 bytes each; packed, even with all that a file says of itself, a tenth of that.
  expect(printed).toMatch(/^dense, f32 +\S+ % +129.4 kB /m);
  expect(printed).toMatch(/^98 % pruned, packed +\S+ % +\S+ k?B +[4-9]\d x /m);
  expect((await readdir(folder)).sort()).toEqual([
    ".gitignore",
    "accuracy.svg",
    "mlpnet.magnitude-0.9.safetensors",
    "mlpnet.magnitude-0.9.secateur",
    "mlpnet.magnitude-0.98.safetensors",
    "mlpnet.magnitude-0.98.secateur",
    "report.html",
  ]);
  expect(await readFile(`${folder}/report.html`, "utf8")).toContain("Accuracy against sparsity");
  const { tensors } = await readCheckpoint(`${folder}/mlpnet.magnitude-0.98.safetensors`);
  const kept = tensors.flatMap(({ data }) => [...(data as Float32Array)]).filter((value) => value !== 0);
  expect(kept).toHaveLength(647);
});
