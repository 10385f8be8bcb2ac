import { isPruneError } from "@secateur/core";
import { badEnding } from "../../errors.ts";
import { findEncoder, pluginEndings } from "../plugins/find-format.ts";

/**
 * Refuses an output's name that no format of tensors has, naming the others that a whole network is written in.
 *
 * @param from - the folder from which plugins are looked for
 * @throws ERR_OUTPUT_FORMAT
 */
export async function assertEncoder(path: string, from: string): Promise<void> {
  try {
    await findEncoder(path, from);
  } catch (error) {
    if (!isPruneError(error) || error.code !== "ERR_OUTPUT_FORMAT") throw error;
    const endings = [".safetensors", ".onnx", "/model.json", ...(await pluginEndings(from))];
    throw badEnding({ flag: "--out", path, allowed: `${endings.slice(0, -1).join(", ")} or ${endings.at(-1)}` });
  }
}
