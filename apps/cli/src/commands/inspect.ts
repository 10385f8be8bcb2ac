/** `secateur inspect`: what a checkpoint holds and what it costs to store. */

import { type NamedTensor, toVec } from "@secateur/formats";
import { formatBytes, formatCount, formatFraction, formatShape, formatTable, plainText } from "@secateur/report/text";
import { flagWithoutEffect } from "@secateur/run";
import { compressedSizes, type EngineChoice, isTfjsModel, modelFile, readModelFile } from "@secateur/run/node";
import type { Command } from "commander";
import { addEngineFlag, addMessageFlags } from "../flags/common-flags.ts";
import { absolutePath } from "../run/absolute-path.ts";
import { printResult } from "../run/print-result.ts";
import type { Terminal } from "../terminal.ts";
import { type InspectedTensor, inspectTfjs } from "./inspect-tfjs.ts";

interface InspectFlags {
  readonly engine?: EngineChoice;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** What `secateur inspect --json` prints. */
interface InspectDocument {
  readonly format: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** What was left out of the file or changed. */
  readonly notes?: readonly string[];
  readonly tensors: readonly InspectedTensor[];
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
    .argument("<model>", "checkpoint (safetensors or PyTorch), or a TensorFlow.js model.json");
  addEngineFlag(command);
  addMessageFlags(command, { hasEvents: false });
  command.addHelpText("after", examples).action(async (model: string) => {
    const flags = command.opts<InspectFlags>();
    const path = modelFile(absolutePath(terminal, model));
    const { signal, cwd } = terminal;
    const isTfjs = await isTfjsModel(path);
    if (!isTfjs && flags.engine !== undefined) {
      throw flagWithoutEffect({ flag: "--engine", reason: `${path} is no TensorFlow.js model` });
    }
    const document = isTfjs
      ? await inspectModel({ path, engine: flags.engine, cwd, signal })
      : await inspect(path, signal, cwd);
    printResult({ terminal, flags, document, text: () => inspectText(document) });
  });
}

async function inspect(path: string, signal: AbortSignal, cwd: string): Promise<InspectDocument> {
  const { checkpoint, bytes, sha256 } = await readModelFile(path, cwd);
  const firsts = new Map<unknown, string>();
  const tensors = checkpoint.tensors.map((tensor) => {
    const { name, shape, dtype, data } = tensor;
    const first = data.length > 1 ? firsts.get(data) : undefined;
    if (first === undefined) firsts.set(data, name);
    const tied = first === undefined ? {} : { tiedTo: first };
    return { name, shape, dtype, size: data.length, zeros: countZeros(tensor), bytes: data.byteLength, ...tied };
  });
  const { format, metadata, notes } = checkpoint;
  const about = { format, metadata, ...(notes === undefined ? {} : { notes }) };
  return { ...about, tensors, ...totals(tensors), ...(await sizes(bytes, signal)), sha256 };
}

async function inspectModel(spec: {
  path: string;
  engine: EngineChoice | undefined;
  cwd: string;
  signal: AbortSignal;
}): Promise<InspectDocument> {
  const { format, metadata, notes, tensors, content, sha256 } = await inspectTfjs(spec);
  const about = { format, metadata, ...(notes.length === 0 ? {} : { notes }) };
  return { ...about, tensors, ...totals(tensors), ...(await sizes(content, spec.signal)), sha256 };
}

/** Over all tensors; what is one tensor in the file counts once. */
function totals(all: readonly InspectedTensor[]): Pick<InspectDocument, "size" | "zeros" | "sparsity"> {
  const tensors = all.filter(({ tiedTo }) => tiedTo === undefined);
  const size = tensors.reduce((sum, tensor) => sum + tensor.size, 0);
  const zeros = tensors.reduce((sum, tensor) => sum + tensor.zeros, 0);
  return { size, zeros, sparsity: size === 0 ? 0 : zeros / size };
}

async function sizes(
  bytes: Uint8Array,
  signal: AbortSignal,
): Promise<Pick<InspectDocument, "bytes" | "gzipBytes" | "brotliBytes">> {
  return { bytes: bytes.length, ...(await compressedSizes(bytes, signal)) };
}

function countZeros(tensor: NamedTensor): number {
  const values = toVec(tensor);
  let zeros = 0;
  for (let i = 0; i < values.length; i++) if (values[i] === 0) zeros++;
  return zeros;
}

function inspectText(document: InspectDocument): string {
  const right = { align: "right" } as const;
  const saysPrunable = document.tensors.some(({ prunable }) => prunable !== undefined);
  const rows = document.tensors.map(({ name, shape, dtype, size, zeros, bytes, prunable }) => [
    plainText(name),
    formatShape(shape),
    dtype,
    formatCount(size),
    formatCount(zeros),
    size === 0 ? "" : formatFraction(zeros / size),
    formatBytes(bytes),
    ...(saysPrunable ? [prunable ? "yes" : ""] : []),
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
      ...(saysPrunable ? [{ title: "prunable" }] : []),
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
        ...(saysPrunable ? [""] : []),
      ],
    ],
  );
  const metadata = Object.entries(document.metadata).map(([key, value]) => `${plainText(key)}: ${plainText(value)}\n`);
  const sizes = `${document.format}, ${formatBytes(document.bytes)}; gzip ${formatBytes(document.gzipBytes)}, brotli ${formatBytes(document.brotliBytes)}\n`;
  const ties = document.tensors.flatMap(({ name, tiedTo }) =>
    tiedTo === undefined ? [] : [`${name} is the same tensor as ${tiedTo}, and counts once`],
  );
  const isChecked = "secateur.crc32" in document.metadata ? ["the tensor data have the checksum that was written"] : [];
  const notes = [...isChecked, ...ties, ...(document.notes ?? [])].map((note) => `${plainText(note)}\n`);
  return [sizes, table, ...[metadata.join(""), notes.join("")].filter((part) => part !== "")].join("\n");
}
