/** `secateur inspect`: what a checkpoint holds and what it costs to store. */

import { formatBytes, formatCount, formatFraction, formatShape, formatTable, plainText } from "@secateur/report/text";
import { inspectedGraphText } from "@secateur/run/node/inspect/inspect-onnx";
import { type InspectDocument, runInspect } from "@secateur/run/node/inspect/run-inspect";
import type { EngineChoice } from "@secateur/run/node/open/load-tensorflow";
import { modelFile } from "@secateur/run/node/open/open-tfjs";
import { statedKeys, statedText } from "@secateur/run/node/preprocessing/preprocessing";
import type { Command } from "commander";
import { addEngineFlag, addMessageFlags } from "../flags/common-flags.ts";
import { absolutePath } from "../run/absolute-path.ts";
import { printResult } from "../run/print-result.ts";
import type { Terminal } from "../terminal.ts";

interface InspectFlags {
  readonly engine?: EngineChoice;
  readonly exactSizes?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

const examples = `
Example:
  secateur inspect mlpnet.chita-0.95.safetensors`;

/** Adds the command. */
export function addInspectCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command("inspect")
    .description("Show a checkpoint's tensors, their zeros, and its size as it is and compressed.")
    .argument(
      "<model>",
      "checkpoint (safetensors, PyTorch or a plugin's format), an ONNX model or a TensorFlow.js model.json",
    );
  addEngineFlag(command);
  command.option("--exact-sizes", "compress files above 4 MB as a whole, too, rather than pieces of them");
  addMessageFlags(command, { hasEvents: false });
  command.addHelpText("after", examples).action(async (model: string) => {
    const flags = command.opts<InspectFlags>();
    const { signal, cwd } = terminal;
    const path = modelFile(absolutePath(terminal, model));
    const { engine, exactSizes = false } = flags;
    const document = await runInspect({ path, engine, exactSizes, cwd, signal });
    printResult({ terminal, flags, document, text: () => inspectText(document) });
  });
}

/** Nobody reads more; and a file of a hundred thousand small tensors must not cost many times its size. */
const MAX_ROWS = 2000;

function inspectText(document: InspectDocument): string {
  const right = { align: "right" } as const;
  const saysPrunable = document.tensors.some(({ prunable }) => prunable !== undefined);
  const rows = document.tensors
    .slice(0, MAX_ROWS)
    .map(({ name, shape, dtype, size, zeros, bytes, prunable }) => [
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
  const stated = statedText(document);
  const others = Object.entries(document.metadata).filter(([key]) => !statedKeys.includes(key));
  const metadata = others.map(([key, value]) => `${plainText(key)}: ${plainText(value)}\n`);
  const about = document.sampledBytes === undefined ? "" : "about ";
  const [gzip, brotli] = [document.gzipBytes, document.brotliBytes].map((size) => `${about}${formatBytes(size)}`);
  const sizes = `${document.format}, ${formatBytes(document.bytes)}; gzip ${gzip}, brotli ${brotli}\n`;
  const ties = document.tensors.flatMap(({ name, tiedTo }) =>
    tiedTo === undefined ? [] : [`${name} is the same tensor as ${tiedTo}, and counts once`],
  );
  const isChecked =
    document.format === "safetensors" && "secateur.crc32" in document.metadata
      ? ["the tensor data have the checksum that was written"]
      : [];
  const notes = [...isChecked, ...ties, ...(document.notes ?? [])].map((note) => `${plainText(note)}\n`);
  const unlisted = document.tensors.length - rows.length;
  const more = unlisted > 0 ? `${formatCount(unlisted)} more tensors are in it; --json lists all\n` : "";
  const graph = document.graph ? [inspectedGraphText(document.graph)] : [];
  return [
    sizes,
    ...graph,
    `${table}${more}`,
    ...[stated, metadata.join(""), notes.join("")].filter((part) => part !== ""),
  ].join("\n");
}
