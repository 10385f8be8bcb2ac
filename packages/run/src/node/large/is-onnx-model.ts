import { open } from "node:fs/promises";
import { detectFormat } from "@secateur/formats";

/** Whether a file is an ONNX model, by its content. What cannot be read is left to whoever reads it. */
export async function isOnnxModel(path: string): Promise<boolean> {
  try {
    const file = await open(path);
    try {
      const head = new Uint8Array(4096);
      const { bytesRead } = await file.read(head, 0, head.length, 0);
      return detectFormat(head.subarray(0, bytesRead)) === "onnx";
    } finally {
      await file.close();
    }
  } catch {
    return false;
  }
}
