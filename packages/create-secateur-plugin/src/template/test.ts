import type { PluginSpec } from "../plugin-files.ts";
import type { PluginKind } from "../plugin-kinds.ts";

const claims: Readonly<Record<PluginKind, string>> = {
  saliency: '{ claims: ["identity"] }',
  selector: '{ claims: ["identity"] }',
  updater: "{}",
  solver: '{ claims: ["identity"] }',
  task: "{ outputs, targets }",
  "training-rule": "{ options: { strength: 0.1 } }",
  format: '{ dtypes: ["f32", "f64"], hasMetadata: true }',
};

/** What a task is tried on. */
const tensors = `
// A few outputs in f64, and what they are compared with.
const outputs = { output: { shape: [3, 2], data: Float64Array.of(0.3, -1.2, 2, 0.1, -0.4, 1) } };
const targets = { values: { shape: [3, 2], data: Float32Array.of(0, -1, 0.5, 0.5, 1, -2) } };
`;

/** What there is to claim, in a few words. */
const advice: Readonly<Record<PluginKind, string>> = {
  ...{ saliency: reach(), selector: reach(), updater: reach(), solver: reach() },
  task: "A loss whose Hessian is not all of R R' says isConvex: false.",
  "training-rule": "Give options under which a training of 8 epochs of 3 steps is long enough.",
  format: "Say which types it stores; a format that only reads gives samples: files made elsewhere.",
};

function reach(): string {
  return `Say in \`claims\` what your method reaches, for example "mask", "diagonal" or "any-k": brute force then checks it.`;
}

/** test/conformance.test.js: the whole suite in one call. */
export function testSource({ name, kind }: PluginSpec): string {
  return `// Everything a ${kind.replace("-", " ")} has to prove, on tiny problems.
// ${advice[kind]}
import { test } from "node:test";
import { describePlugin } from "@secateur/conformance";
import plugin from "../src/plugin.js";
${kind === "task" ? tensors : ""}
describePlugin({ test, plugin, claims: { "${kind} ${name.method}": ${claims[kind]} } });
`;
}
