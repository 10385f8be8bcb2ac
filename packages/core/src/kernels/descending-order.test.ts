import { expect, test } from "vitest";
import { createRng } from "../rng.ts";
import { descendingOrder } from "./descending-order.ts";

test("keys of every size and sign are in order, equal ones by place, zeros of both signs among them", () => {
  const rng = createRng("order");
  for (const size of [0, 1, 7, 5000]) {
    const key = Float64Array.from({ length: size }, (_, i) => {
      if (i % 11 === 0) return i % 2 === 0 ? 0 : -0;
      if (i % 97 === 1) return i % 2 === 0 ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
      const value = rng.normal() * 10 ** (rng.integer(600) - 300);
      return i % 5 === 0 ? Math.round(rng.normal()) : value;
    });
    const plain = Array.from(key, (_, i) => i).sort((a, b) => (key[a] === key[b] ? a - b : key[a]! > key[b]! ? -1 : 1));
    expect([...descendingOrder(key)]).toEqual(plain);
  }
});
