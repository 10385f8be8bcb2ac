/** Whether a thing that an entry made has the form of its kind: what a plugin returns was checked by no compiler. */
import { nearestName } from "../errors.ts";
import type { EntryKind } from "./plugin.ts";

/** What a field is. */
type Form = "method" | "text" | "list" | "object" | "number";

/** The fields of a kind: those that must be there, and the others by their names. */
interface Shape {
  readonly needs: Readonly<Record<string, Form>>;
  readonly may?: readonly string[];
}

const shapes: Readonly<Record<EntryKind, Shape>> = {
  saliency: { needs: { needs: "object", score: "method" } },
  selector: { needs: { needs: "object", select: "method" }, may: ["plan"] },
  updater: { needs: { needs: "object", update: "method" } },
  solver: { needs: { needs: "object", solve: "method" }, may: ["name", "scope", "draft", "plan", "work"] },
  curvature: { needs: { name: "text", provides: "list", estimate: "method" } },
  schedule: { needs: { phases: "method" } },
  allocation: { needs: {}, may: ["floors", "counts"] },
  task: {
    needs: { name: "text", targetsFrom: "text", loss: "method", outputFactor: "method", measures: "list" },
    may: ["options", "targetKind", "valuesOf"],
  },
  "training-rule": { needs: { name: "text", settings: "text", begin: "method" }, may: ["masks"] },
  quantizer: { needs: { quantize: "method" } },
  format: { needs: { endings: "list", detects: "method" }, may: ["decode", "encode"] },
  architecture: { needs: { name: "text", inputShape: "list", classes: "number", layers: "list" } },
  dataset: { needs: { usages: "list", open: "method" }, may: ["name", "summary"] },
  reporter: { needs: { endings: "list", report: "method" } },
};

const isOf: Readonly<Record<Form, (value: unknown) => boolean>> = {
  method: (value) => typeof value === "function",
  text: (value) => typeof value === "string",
  list: Array.isArray,
  object: (value) => typeof value === "object" && value !== null,
  number: (value) => typeof value === "number",
};

/**
 * What a product lacks to be of its kind, to be put after "create returned"; undefined where nothing is missing.
 *
 * @example
 * productFault("format", { endings: [".box"] }) === "something without detects()";
 */
export function productFault(kind: EntryKind, made: unknown): string | undefined {
  if (typeof made !== "object" || made === null) return String(made);
  const fields = made as Readonly<Record<string, unknown>>;
  for (const [key, form] of Object.entries(shapes[kind].needs)) {
    if (isOf[form](fields[key])) continue;
    if (fields[key] === undefined) return `something without ${form === "method" ? `${key}()` : `'${key}'`}`;
    return `something whose '${key}' is no ${form}`;
  }
  return undefined;
}

/**
 * A field of a product that no product of the kind has, such as a misspelt optional method; undefined: none. Only own fields of plain
 * objects: what a class keeps for itself is its own affair.
 */
export function strayField(kind: EntryKind, made: object): string | undefined {
  const prototype = Object.getPrototypeOf(made);
  if (prototype !== Object.prototype && prototype !== null) return undefined;
  const { needs, may = [] } = shapes[kind];
  return unknownKey(made, [...Object.keys(needs), ...may]);
}

/** A key of an object that is none of the known ones, with those or the one it is near to: "'decod'; did you mean 'decode'?". */
export function unknownKey(object: object, known: readonly string[]): string | undefined {
  const stray = Object.keys(object).find((key) => !known.includes(key));
  if (stray === undefined) return undefined;
  const near = nearestName(stray, known);
  return near === undefined ? `'${stray}'; known: ${known.join(", ")}` : `'${stray}'; did you mean '${near}'?`;
}
