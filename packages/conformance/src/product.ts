/** The form of what is checked, before anything is done with it. */
import { type EntryKind, productFault, strayField } from "@secateur/core";
import { ensure } from "./assertions.ts";

/** @throws Error for a product that lacks what its kind needs, or has a field that no product of the kind has */
export function ensureProduct(kind: EntryKind, made: unknown): void {
  const fault = productFault(kind, made);
  ensure(fault === undefined, () => `create returned ${fault}`);
  const stray = strayField(kind, made as object);
  ensure(stray === undefined, () => `create returned a ${kind} with the unknown field ${stray}`);
}
