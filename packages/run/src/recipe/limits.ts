/** Limits and units of a run: the keys "flops", "bytes", "milliseconds" and "units" of a recipe, which flags have the names of. */
import { type Budget, keptFraction, type Limit, type UnitSpec } from "@secateur/core";

/** What is limited beside the number of weights, and what is kept or removed together. */
export interface LimitSettings {
  /** Fractions of the dense network's that are kept. */
  readonly flops?: number;
  readonly bytes?: number;
  /** Of a forward pass of one example, packed, on one thread. */
  readonly milliseconds?: number;
  /** UNITS, or PATTERN=UNITS for the parameters whose names fit. */
  readonly units?: readonly string[];
}

/** All keys. */
export const limitKeys: readonly (keyof LimitSettings)[] = ["flops", "bytes", "milliseconds", "units"];

/** What units are written as, for help and messages. */
export const unitsAllowed =
  "weights, of-every:KEEP/OF such as of-every:2/4 (with :channels behind it along input channels), blocks:ROWSxCOLS such as blocks:4x1, kernels, rows, columns, inputs or channels, each with PATTERN= before it for some layers only";

/** One text of `units`; undefined for one that is none. */
export function parseUnits(text: string): NonNullable<Budget["units"]>[number] | undefined {
  const at = text.lastIndexOf("=");
  const [match, name] = at < 0 ? ["*", text] : [text.slice(0, at), text.slice(at + 1)];
  const units = unitsOf(name);
  return match === "" || !units ? undefined : { match, units };
}

function unitsOf(name: string): UnitSpec | undefined {
  const kind = (["weights", "kernels", "rows", "columns", "inputs", "channels"] as const).find(
    (known) => known === name,
  );
  if (kind) return { kind };
  const [, what, one, sign, other, along] =
    /^(of-every|blocks)[:](\d{1,6})([/x])(\d{1,6})(:channels)?$/.exec(name) ?? [];
  const [a, b] = [Number(one), Number(other)];
  if (what === "of-every" && sign === "/" && b >= 1 && a >= 1 && a <= b)
    return { kind: what, keep: a, of: b, ...(along ? { along: "channels" } : {}) };
  if (what === "blocks" && sign === "x" && !along && a >= 1 && b >= 1) return { kind: what, rows: a, cols: b };
  return undefined;
}

/** Whether all that `units` say is a pattern for every layer, which says how far to go. */
export function arePattern(units: readonly string[] = []): boolean {
  const [first] = units.map(parseUnits);
  return units.length === 1 && first?.match === "*" && first.units.kind === "of-every";
}

/** The pattern along rows that all layers have, where that is all that `units` say. */
export function soleOfEvery(units: readonly string[] = []): { readonly keep: number; readonly of: number } | undefined {
  const [first] = units.map(parseUnits);
  if (!arePattern(units) || first?.units.kind !== "of-every" || first.units.along === "channels") return undefined;
  return { keep: first.units.keep, of: first.units.of };
}

/** Whether settings ask for anything that a sparsity does not say. */
export function isLimited({ flops, bytes, milliseconds, units = [] }: LimitSettings): boolean {
  return (
    [flops, bytes, milliseconds].some((amount) => amount !== undefined) || units.some((text) => text !== "weights")
  );
}

/** The limits and units as core takes them; with a sparsity a limit of weights beside the others. */
export function limitsOf(settings: LimitSettings, sparsity: number | undefined): Pick<Budget, "limits" | "units"> {
  const { flops, bytes, milliseconds, units = [] } = settings;
  const limits: readonly (Limit | undefined)[] = [
    sparsity === undefined ? undefined : { kind: "weights", amount: keptFraction(sparsity) },
    flops === undefined ? undefined : { kind: "flops", amount: flops },
    bytes === undefined ? undefined : { kind: "bytes", amount: bytes },
    milliseconds === undefined ? undefined : { kind: "milliseconds", amount: milliseconds, absolute: true },
  ];
  return {
    limits: limits.filter((limit) => limit !== undefined),
    units: units.map(parseUnits).filter((units) => units !== undefined),
  };
}
