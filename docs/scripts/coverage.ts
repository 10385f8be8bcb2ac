/**
 * How well the exports are documented, from typedoc's JSON. An export needs a docstring. What takes or gives arrays needs
 * a shape ("[n, p]", "length p"); a number needs a word about it (its own comment, or its name or unit in the docstring,
 * or a name that carries the unit, such as timeoutMs); and what a method package makes (solvers, selectors, updaters,
 * estimators) needs its source: a year, an equation or a section, in the docstring or at the head of the file.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** One gap. */
export interface Gap {
  readonly packageName: string;
  /** "prune", or "PruneRequest.sparsity" */
  readonly symbol: string;
  /** "packages/core/src/runner/prune.ts:40" */
  readonly place: string;
  readonly lacks: "docstring" | "shape" | "number" | "source";
  /** Parameter or property it is about. */
  readonly detail: string;
}

/** All gaps, and how many exports were looked at. */
export interface Coverage {
  readonly exports: number;
  readonly gaps: readonly Gap[];
}

/** The part of typedoc's JSON that is read. */
interface Node {
  readonly name: string;
  readonly kind: number;
  readonly variant?: string;
  readonly comment?: Comment;
  readonly children?: readonly Node[];
  readonly signatures?: readonly Node[];
  readonly parameters?: readonly Node[];
  readonly type?: TypeNode;
  readonly sources?: readonly { readonly fileName: string; readonly line: number }[];
}

interface Comment {
  readonly summary?: readonly { readonly text: string }[];
  readonly blockTags?: readonly { readonly tag: string; readonly content: readonly { readonly text: string }[] }[];
}

interface TypeNode {
  readonly type: string;
  readonly name?: string;
  readonly types?: readonly TypeNode[];
  readonly elementType?: TypeNode;
  readonly declaration?: Node;
  readonly typeArguments?: readonly TypeNode[];
  readonly target?: TypeNode | number;
}

const kinds = { module: 2, variable: 32, function: 64, class: 128, interface: 256, alias: 2097152, method: 2048 };
const exported = new Set([kinds.variable, kinds.function, kinds.class, kinds.interface, kinds.alias]);
const arrays = new Set([
  "Vec",
  "Mat",
  "Mask",
  "Float32Array",
  "Float64Array",
  "Uint32Array",
  "Uint8Array",
  "Int32Array",
]);
const shape =
  /\[[^\]]*\]|\blength\b|\bper (weight|example|unit|row|column|layer|class|parameter)\b|\bflat\b|\bbytes\b|\bone (a|per|each)\b|\bsame (shape|size|length)\b|\b(n|p|k|rows?|cols|columns) x \w+/i;
const source = /\b(19|20)\d\d\b|\bequation\b|\beq\.|\bsection\b|\balgorithm \d/i;
const unitInName = /(Ms|Bytes|Flops|PerWeight|Percent|Nats|Seconds)$/;

/** Looks at every export in typedoc's JSON. `root`: where the sources are. */
export function docsCoverage(api: Node, root: string): Coverage {
  const gaps: Gap[] = [];
  let exports = 0;
  for (const module of api.children ?? []) {
    if (module.kind !== kinds.module) continue;
    for (const node of module.children ?? []) {
      if (!exported.has(node.kind) || node.name === "default") continue;
      exports++;
      gaps.push(...gapsOf(node, { packageName: module.name, root }));
    }
  }
  return { exports, gaps };
}

function gapsOf(node: Node, { packageName, root }: { packageName: string; root: string }): readonly Gap[] {
  const first = node.sources?.[0];
  const place = first ? `${first.fileName}:${first.line}` : "";
  const gap = (lacks: Gap["lacks"], detail = ""): Gap => ({ packageName, symbol: node.name, place, lacks, detail });
  const text = textOf(node);
  if (text === "") return [gap("docstring")];
  const gaps: Gap[] = [];
  for (const { name, type, own } of numbersAndArrays(node)) {
    const said = `${own} ${text}`;
    if (isArray(type) && !shape.test(said)) gaps.push(gap("shape", name));
    if (isNumber(type) && own === "" && !unitInName.test(name) && !mentions(text, name)) gaps.push(gap("number", name));
  }
  // What core makes of the parts of a method is no method of its own.
  if (
    packageName !== "@secateur/core" &&
    makesMethod(node) &&
    !source.test(`${text} ${first ? headOf(join(root, first.fileName)) : ""}`)
  ) {
    gaps.push(gap("source"));
  }
  return gaps;
}

function textOf(node: Node): string {
  const comments = [node.comment, ...(node.signatures ?? []).map(({ comment }) => comment)];
  return comments.map(commentText).join(" ").trim();
}

function commentText(comment: Comment | undefined): string {
  const join = (parts: readonly { text: string }[] = []) => parts.map(({ text }) => text).join("");
  return [join(comment?.summary), ...(comment?.blockTags ?? []).map(({ content }) => join(content))].join(" ").trim();
}

/** Parameters of functions, properties of interfaces, and what either is told about. */
function numbersAndArrays(node: Node): readonly { name: string; type: TypeNode | undefined; own: string }[] {
  const parts: { name: string; type: TypeNode | undefined; own: string }[] = [];
  const add = (part: Node, name: string) => parts.push({ name, type: part.type, own: commentText(part.comment) });
  for (const signature of node.signatures ?? []) {
    for (const parameter of signature.parameters ?? []) {
      add(parameter, parameter.name);
      for (const property of parameter.type?.declaration?.children ?? []) add(property, property.name);
    }
  }
  const properties = [...(node.children ?? []), ...(node.type?.declaration?.children ?? [])];
  for (const property of properties) if (property.type && property.kind !== kinds.method) add(property, property.name);
  return parts;
}

function isArray(type: TypeNode | undefined): boolean {
  if (type?.type === "union") return (type.types ?? []).some(isArray);
  return type?.type === "reference" && arrays.has(type.name ?? "");
}

function isNumber(type: TypeNode | undefined): boolean {
  if (type?.type === "union") return (type.types ?? []).some(isNumber);
  return type?.type === "intrinsic" && type.name === "number";
}

/** "maxIterations" is mentioned by "maxIterations", "iterations" or "max iterations". */
function mentions(text: string, name: string): boolean {
  const words = name
    .replace(/([A-Z])/g, " $1")
    .toLowerCase()
    .split(" ");
  const lower = text.toLowerCase();
  return (
    lower.includes(name.toLowerCase()) ||
    words.some((word) => word.length > 2 && lower.includes(word.replace(/s$/, "")))
  );
}

const methodTypes = new Set(["Solver", "Selector", "Updater", "Saliency", "CurvatureEstimator"]);

function makesMethod(node: Node): boolean {
  return (node.signatures ?? []).some(({ type }) => type?.type === "reference" && methodTypes.has(type.name ?? ""));
}

/** The comment that opens a file. */
function headOf(file: string): string {
  return /^\s*\/\*\*[\s\S]*?\*\//.exec(readFileSync(file, "utf8"))?.[0] ?? "";
}
