/** Writes a model to a folder as TensorFlow.js's own file handler does in a browser: one weights file beside model.json. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { io, LayersModel } from "@tensorflow/tfjs";

/** Saves the model; returns the path of its model.json. */
export async function saveModel(model: LayersModel, folder: string): Promise<string> {
  mkdirSync(folder, { recursive: true });
  await model.save({
    save: async ({ weightSpecs, weightData, ...artifacts }: io.ModelArtifacts): Promise<io.SaveResult> => {
      const weightsManifest = [{ paths: ["weights.bin"], weights: weightSpecs }];
      writeFileSync(join(folder, "model.json"), JSON.stringify({ ...artifacts, weightsManifest }));
      writeFileSync(join(folder, "weights.bin"), new Uint8Array(weightData as ArrayBuffer));
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: "JSON" } };
    },
  });
  return join(folder, "model.json");
}
