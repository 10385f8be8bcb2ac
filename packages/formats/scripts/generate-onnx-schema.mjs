// Writes src/onnx/onnx-schema.ts from scripts/onnx.proto (onnx 1.23.1, Apache-2.0), when a new version of ONNX has new fields:
//   node packages/formats/scripts/generate-onnx-schema.mjs
// What protoc-gen-es writes is made shorter (no comments; they stand in onnx.proto) and erasable (no enums: numbers).
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Messages that are made or read on their own; of all others the types are enough. */
const used = new Set([
  ...["ModelProto", "GraphProto", "NodeProto", "AttributeProto", "TensorProto"],
  ...["ValueInfoProto", "StringStringEntryProto", "OperatorSetIdProto"],
]);

const here = fileURLToPath(new URL(".", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "onnx-schema-"));
try {
  cpSync(join(here, "onnx.proto"), join(folder, "protos/onnx.proto"), { recursive: true });
  writeFileSync(join(folder, "buf.yaml"), "version: v2\nmodules:\n  - path: protos\n");
  const plugin = "  - local: protoc-gen-es\n    out: out\n    opt: target=ts\n";
  writeFileSync(join(folder, "buf.gen.yaml"), `version: v2\nplugins:\n${plugin}`);
  const packages = ["@bufbuild/buf@1.61.0", "@bufbuild/protoc-gen-es@2.13.0"];
  execFileSync("npx", ["--yes", ...packages.map((name) => `--package=${name}`), "buf", "generate"], { cwd: folder });
  const text = readFileSync(join(folder, "out/onnx_pb.ts"), "utf8")
    .replaceAll(/^\s*\/\*\*[\s\S]*?\*\/\n/gm, "")
    .replaceAll(/^\/\/.*\n/gm, "")
    .replaceAll(/^\/\* eslint-disable \*\/\n/gm, "")
    .replaceAll(/^export enum (\w+) \{[^}]*\}\n/gm, "export type $1 = number;\n")
    .replaceAll(/^export const \w+Schema: GenEnum[\s\S]*?;\n/gm, "")
    .replace("GenEnum, GenFile", "GenFile")
    .replace("enumDesc, fileDesc", "fileDesc")
    .replaceAll(/\/\*@__PURE__\*\//g, "/* @__PURE__ */")
    .replaceAll(/\bUint8Array\b/g, "Uint8Array<ArrayBuffer>")
    .replaceAll(/^export const (\w+)Schema: [\s\S]*?;\n/gm, (text, name) => (used.has(name) ? text : ""))
    .replace("export const file_onnx", "const file_onnx")
    .replaceAll(/^export type (Version|OperatorStatus|TensorProto_DataType) = number;\n/gm, "");
  const head = "// Made from onnx.proto (onnx 1.23.1, Apache-2.0) by scripts/generate-onnx-schema.mjs; do not edit.\n";
  const target = join(here, "../src/onnx/onnx-schema.ts");
  writeFileSync(target, head + text.replaceAll(/\n{3,}/g, "\n\n"));
  execFileSync(join(here, "../../../node_modules/.bin/biome"), ["format", "--write", target]);
} finally {
  rmSync(folder, { recursive: true });
}
