import { expect, test } from "vitest";
import { createIdentities, fixedIdentity } from "./identities.ts";

test("what is united has one cause, and what is united with something fixed stays for its reason", () => {
  const identities = createIdentities();
  const [a, b, c] = identities.fresh(3) as unknown as [number, number, number];
  identities.unite(a, b, "Add");
  expect(identities.causesOf(a)).toEqual(identities.causesOf(b));
  expect(identities.causesOf(c)).toHaveLength(1);
  identities.unite(c, fixedIdentity, "Softmax");
  identities.unite(a, c, "Mul");
  expect(identities.causesOf(b)).toEqual([]);
  expect(identities.fixedBy(b)).toBe("Softmax");
});

test("a product goes where any of its parts goes, and equal products have equal parts", () => {
  const identities = createIdentities();
  const [head, other, width, wide] = identities.fresh(4) as unknown as [number, number, number, number];
  const place = identities.product([head, width]);
  expect(identities.causesOf(place)).toEqual([head, width].sort((x, y) => x - y));
  identities.unite(place, identities.product([other, wide]), "Add");
  expect(identities.causesOf(head)).toEqual(identities.causesOf(other));
  expect(identities.causesOf(width)).toEqual(identities.causesOf(wide));
  identities.fix(Int32Array.of(head), "Gather");
  expect(identities.causesOf(place)).toEqual(identities.causesOf(width));
});

test("a single identity that is a product takes its parts on, and a product of its own part is one identity", () => {
  const identities = createIdentities();
  const [single, head, width] = identities.fresh(3) as unknown as [number, number, number];
  identities.unite(single, identities.product([head, width]), "Reshape");
  expect(identities.causesOf(single)).toHaveLength(2);
  identities.unite(single, head, "Add");
  expect(identities.causesOf(single)).toEqual(identities.causesOf(width));
  expect(identities.causesOf(head)).toEqual(identities.causesOf(width));
});
