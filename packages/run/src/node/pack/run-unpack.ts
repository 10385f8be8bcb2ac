/** `secateur unpack`: a packed network as a checkpoint or an ONNX model again. */
import { countZeros } from "@secateur/core";
import { checkOutput, encodeOnnx, readFileBytes, writeFileAtomic } from "@secateur/formats";
import { formatCount, plainText } from "@secateur/report/text";
import { decodePacked } from "@secateur/runtime";
import { badUsage } from "../../errors.ts";
import { type CompressedCopy, checkCopies, copiesText, settleCopies } from "../export/compressed-copies.ts";
import { onnxOfPacked } from "../export/onnx-of-packed.ts";
import { findEncoder } from "../plugins/find-format.ts";
import { isPacked, packedCheckpoint } from "./packed-checkpoint.ts";

/** What `secateur unpack --json` prints. */
export interface UnpackDocument {
  readonly file: string;
  readonly tensors: number;
  readonly size: number;
  readonly zeros: number;
  /** With `compress`. */
  readonly copies?: readonly CompressedCopy[];
}

/** @throws ERR_USAGE for a file that is not packed; ERR_OUTPUT_FORMAT, ERR_OUTPUT_EXISTS, ...; what `decodePacked` throws */
export async function runUnpack(spec: {
  readonly path: string;
  readonly out: string;
  readonly overwrite: boolean;
  /** Also writes copies compressed by gzip and brotli. */
  readonly compress?: boolean;
  /** The folder from which plugins are looked for. */
  readonly cwd: string;
  readonly signal: AbortSignal;
}): Promise<UnpackDocument> {
  const { path, out, overwrite, compress = false, cwd, signal } = spec;
  const isOnnx = out.endsWith(".onnx");
  const encode = isOnnx ? undefined : await findEncoder(out, cwd);
  await checkOutput(out, { overwrite });
  await checkCopies([out], { overwrite });
  const bytes = await readFileBytes(path);
  if (!isPacked(bytes)) throw badUsage(`${path} is no packed network; unpack takes what secateur pack wrote`, { path });
  const { tensors, metadata } = await packedCheckpoint(bytes, path);
  const encoded = encode ? await encode({ tensors, metadata }) : encodeOnnx(onnxOfPacked(await decodePacked(bytes)));
  await writeFileAtomic(out, encoded, { overwrite, signal });
  const copies = await settleCopies([[out, encoded]], { compress, overwrite, signal });
  const size = tensors.reduce((sum, { data }) => sum + data.length, 0);
  const zeros = tensors.reduce((sum, { data }) => sum + countZeros(data as Float32Array), 0);
  return { file: out, tensors: tensors.length, size, zeros, ...copies };
}

/** What `secateur unpack` prints for people. */
export function unpackText({ file, tensors, size, zeros, copies }: UnpackDocument): string {
  const numbers = `${formatCount(tensors)} tensors, ${formatCount(size)} numbers, ${formatCount(zeros)} of them zero`;
  return `${plainText(file)}: ${numbers}\n${copiesText(copies)}`;
}
