/** A worker has what the models need that it can open. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeOnnx } from "@secateur/formats";
import { createNetwork, mlp } from "@secateur/nn";
import { expect, onTestFinished, test } from "vitest";
import { onnxOfNetwork } from "../export/onnx-of-network.ts";
import { openAnyModel } from "../open/open-any-model.ts";
import { packageVersions } from "../versions.ts";
import { workerPackages } from "./job-packages.ts";

test("the packages of an ONNX model are among those of a worker", async () => {
  const folder = mkdtempSync(join(tmpdir(), "secateur-packages-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "net.onnx");
  writeFileSync(path, encodeOnnx(onnxOfNetwork(createNetwork(mlp({ sizes: [4, 3, 2] }), { seed: 2 }))));
  const model = await openAnyModel({ path, arch: undefined, engine: undefined, cwd: folder, onEvent: () => {} });
  const needed = packageVersions(model.packages);
  expect(Object.keys(needed).length).toBeGreaterThan(0);
  expect(await workerPackages(folder)).toMatchObject(needed);
});
