/** `secateur inspect`: what a checkpoint holds and what it costs to store. */
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import { throwIfAborted } from "@secateur/core";
import { type NamedTensor, toVec } from "@secateur/formats";
import type { Command } from "commander";
import { addMessageFlags } from "../flags/common-flags.ts";
import { absolutePath } from "../run/absolute-path.ts";
import { readModelFile } from "../run/open-model.ts";
import type { Terminal } from "../terminal.ts";
import { formatBytes, formatCount, formatFraction, formatShape, plainText } from "../text/format.ts";
import { formatTable } from "../text/table.ts";
import { printResult } from "./print-result.ts";

interface InspectFlags {
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** What `secateur inspect --json` prints. */
interface InspectDocument {
  readonly format: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** What was left out of the file or changed. */
  readonly notes?: readonly string[];
  readonly tensors: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly dtype: string;
    readonly size: number;
    readonly zeros: number;
    readonly bytes: number;
  }[];
  readonly size: number;
  readonly zeros: number;
  readonly sparsity: number;
  readonly bytes: number;
  readonly gzipBytes: number;
  readonly brotliBytes: number;
  readonly sha256: string;
}

const examples = `
Example:
  secateur inspect mlpnet.chita-0.95.safetensors`;

/** Adds the command. */
export function addInspectCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command("inspect")
    .summary("show what a checkpoint holds")
    .description("Show a checkpoint's tensors, their zeros, and its size as it is and compressed.")
    .argument("<model>", "checkpoint (safetensors or PyTorch)");
  addMessageFlags(command, { hasEvents: false });
  command.addHelpText("after", examples).action(async (model: string) => {
    const flags = command.opts<InspectFlags>();
    const document = await inspect(absolutePath(terminal, model), terminal.signal);
    printResult({ terminal, flags, document, text: () => inspectText(document) });
  });
}

async function inspect(path: string, signal: AbortSignal): Promise<InspectDocument> {
  const { checkpoint, bytes, sha256 } = await readModelFile(path);
  const tensors = checkpoint.tensors.map((tensor) => {
    const { name, shape, dtype, data } = tensor;
    return { name, shape, dtype, size: data.length, zeros: countZeros(tensor), bytes: data.byteLength };
  });
  const size = tensors.reduce((sum, tensor) => sum + tensor.size, 0);
  const zeros = tensors.reduce((sum, tensor) => sum + tensor.zeros, 0);
  const { gzipBytes, brotliBytes } = await compressedSizes(bytes, signal);
  const { format, metadata, notes } = checkpoint;
  const about = { format, metadata, ...(notes === undefined ? {} : { notes }) };
  const sparsity = size === 0 ? 0 : zeros / size;
  return { ...about, tensors, size, zeros, sparsity, bytes: bytes.length, gzipBytes, brotliBytes, sha256 };
}

function countZeros(tensor: NamedTensor): number {
  const values = toVec(tensor);
  let zeros = 0;
  for (let i = 0; i < values.length; i++) if (values[i] === 0) zeros++;
  return zeros;
}

/**
 * Sizes after gzip (level 6, as `gzip FILE`) and brotli (quality 9, as web servers use for files they keep; 11 would take
 * minutes for 100 MB and save a few percent more). An abort does not wait for them.
 */
export async function compressedSizes(
  bytes: Uint8Array,
  signal: AbortSignal,
): Promise<{ gzipBytes: number; brotliBytes: number }> {
  throwIfAborted(signal);
  const sizes = Promise.all([
    promisify(gzip)(bytes, { level: 6 }),
    promisify(brotliCompress)(bytes, {
      params: {
        [constants.BROTLI_PARAM_QUALITY]: 9,
        [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
        [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
      },
    }),
  ]);
  const aborted = new Promise<never>((_resolve, reject) => {
    signal.addEventListener(
      "abort",
      () => {
        try {
          throwIfAborted(signal);
        } catch (error) {
          reject(error);
        }
      },
      { once: true },
    );
  });
  const [zipped, brotli] = await Promise.race([sizes, aborted]);
  return { gzipBytes: zipped.length, brotliBytes: brotli.length };
}

function inspectText(document: InspectDocument): string {
  const right = { align: "right" } as const;
  const rows = document.tensors.map(({ name, shape, dtype, size, zeros, bytes }) => [
    plainText(name),
    formatShape(shape),
    dtype,
    formatCount(size),
    formatCount(zeros),
    size === 0 ? "" : formatFraction(zeros / size),
    formatBytes(bytes),
  ]);
  const table = formatTable(
    [
      { title: "tensor" },
      { title: "shape" },
      { title: "dtype" },
      { title: "size", ...right },
      { title: "zeros", ...right },
      { title: "sparsity", ...right },
      { title: "bytes", ...right },
    ],
    [
      ...rows,
      [
        "in all",
        "",
        "",
        formatCount(document.size),
        formatCount(document.zeros),
        formatFraction(document.sparsity),
        "",
      ],
    ],
  );
  const metadata = Object.entries(document.metadata).map(([key, value]) => `${plainText(key)}: ${plainText(value)}\n`);
  const sizes = `${document.format}, ${formatBytes(document.bytes)}; gzip ${formatBytes(document.gzipBytes)}, brotli ${formatBytes(document.brotliBytes)}\n`;
  const notes = (document.notes ?? []).map((note) => `${plainText(note)}\n`);
  return [sizes, table, ...[metadata.join(""), notes.join("")].filter((part) => part !== "")].join("\n");
}
