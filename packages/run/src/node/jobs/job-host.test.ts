/** Jobs of one thread share what is open, and nothing that decides a result. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRng } from "@secateur/core";
import { encodeNpy, encodeSafetensors } from "@secateur/formats";
import { inProcess, type Job, openStore, readResult, runPlan, type Store } from "@secateur/jobs";
import { createNetwork } from "@secateur/nn";
import { expect, onTestFinished, test } from "vitest";
import { namedArchitecture } from "../open/architecture/described-architecture.ts";
import { storeInputs } from "./input-files.ts";
import { type JobHost, jobHost } from "./job-host.ts";
import { jobKinds } from "./kinds/job-kinds.ts";
import { pruneJob } from "./kinds/prune-kind.ts";

const arch = "mlp:6-5-3:nobias";

/** A small network with data, and its jobs by the options of their curvature. */
async function problem(): Promise<{ store: Store; jobOf: (curvatureOptions: Record<string, unknown>) => Job }> {
  const folder = await mkdtemp(join(tmpdir(), "secateur-host-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const rng = createRng(5);
  const [x, y, path] = [join(folder, "X.npy"), join(folder, "Y.npy"), join(folder, "net.safetensors")];
  await writeFile(x, encodeNpy({ shape: [60, 6], data: Float32Array.from({ length: 360 }, () => rng.normal()) }));
  await writeFile(y, encodeNpy({ shape: [60], data: Float32Array.from({ length: 60 }, (_, i) => i % 3) }));
  const tensors = createNetwork(namedArchitecture(arch), { seed: 3 })
    .tensors()
    .map(({ name, shape, data }) => ({ name, shape, dtype: "f32" as const, data: Float32Array.from(data) }));
  await writeFile(path, encodeSafetensors({ tensors, metadata: { "secateur.architecture": arch } }));
  const store = await openStore(join(folder, "store"));
  const inputs = await storeInputs(store, { path, data: `npy:${x},${y}` });
  const setting = { ...inputs, keepDense: [], seed: 0, kernels: "reference" as const, chooses: false };
  const jobOf = (curvatureOptions: Record<string, unknown>): Job => {
    const plan = { examples: 30, curvature: "kronecker-gauss-newton" };
    return pruneJob({ setting, solver: "obd", options: {}, plan, sparsity: 0.5, curvatureOptions }, {}, "obd");
  };
  return { store, jobOf };
}

async function resultsOf(host: JobHost, store: Store, jobs: readonly Job[], signal = new AbortController().signal) {
  const executor = inProcess({ store, kinds: jobKinds(host) });
  const outcomes = await runPlan({ jobs, store, executor, signal });
  return await Promise.all(
    outcomes.map(async (one) => ("record" in one ? await readResult(store, one.job.id, one.record) : one.error.code)),
  );
}

test("a job with other options of the curvature takes its own gradients", async () => {
  const [shared, fresh] = [await problem(), await problem()];
  const all = [{ share: 0.01 }, { share: 10 }];
  const host = jobHost({ cwd: "." });
  const together = await resultsOf(host, shared.store, all.map(shared.jobOf));
  const apart = [];
  for (const options of all) {
    apart.push(...(await resultsOf(jobHost({ cwd: "." }), fresh.store, [fresh.jobOf(options)])));
  }
  expect(together).toEqual(apart);
  expect(JSON.stringify(together[0])).not.toBe(JSON.stringify(together[1]));
});

test("a job that was called off spoils nothing for the next one of its thread", async () => {
  const { store, jobOf } = await problem();
  const host = jobHost({ cwd: "." });
  const stop = new AbortController();
  const [outcome] = await runPlan({
    ...{ jobs: [jobOf({})], store, executor: inProcess({ store, kinds: jobKinds(host) }), signal: stop.signal },
    onEvent: ({ type }) => type === "progress" && stop.abort(),
  });
  expect(outcome!.state).toBe("cancelled");
  const [again] = await resultsOf(host, store, [jobOf({})]);
  expect(again).toMatchObject({ solver: "obd" });
});
