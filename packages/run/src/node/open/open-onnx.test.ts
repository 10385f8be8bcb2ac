import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRunContext, type LayerOffset } from "@secateur/core";
import { encodeOnnx } from "@secateur/formats";
import { createNetwork } from "@secateur/nn";
import { expect, test } from "vitest";
import { everyLayer, examples } from "../export/network.test-support.ts";
import { onnxOfNetwork } from "../export/onnx-of-network.ts";
import { openAnyModel } from "./open-any-model.ts";

test("biases and statistics that were written are in the file that is made, and give what they gave", async () => {
  const folder = mkdtempSync(join(tmpdir(), "open-onnx-"));
  try {
    const path = join(folder, "all.onnx");
    writeFileSync(path, encodeOnnx(onnxOfNetwork(createNetwork(everyLayer[0]!, { seed: 2 }))));
    const open = () => openAnyModel({ path, arch: undefined, engine: undefined, cwd: folder, onEvent: () => {} });
    const data = examples(everyLayer[0]!, 3);
    const ctx = createRunContext();
    const { network, onnx } = await open();
    const params = network.params().map(({ name }) => name);
    const request = { params, data, examples: Uint32Array.of(0, 1, 2), inputs: "parallel" } as const;
    const offsets: LayerOffset[] = [];
    for await (const { targets } of network.layerInputs!(request, ctx)) {
      for (const { offset } of targets) if (offset) offsets.push(offset);
    }
    const names = offsets.flatMap(({ bias, statistics }) => [
      ...(bias ? [bias] : []),
      ...(statistics ? [statistics.mean] : []),
    ]);
    // Of the grouped convolution twice, and of the dense layer.
    expect(new Set(names).size).toBe(3);
    for (const name of new Set(names)) {
      const values = await network.read(name);
      for (let i = 0; i < values.data.length; i++) values.data[i]! += 0.25 * (i + 1);
      await network.write(name, values);
    }
    const batch = await data.batch(Uint32Array.of(0, 1, 2));
    const [expected] = Object.values(await network.run!(batch, ctx));
    writeFileSync(path, onnx!.encode());
    const [found] = Object.values(await (await open()).network.run!(batch, ctx));
    expect(found!.data).toEqual(expected!.data);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
