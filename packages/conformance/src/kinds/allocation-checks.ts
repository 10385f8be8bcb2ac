/** Allocations: exact totals within bounds, whatever the layers. */
import { type Allocation, type BoundedLayer, createRng } from "@secateur/core";
import { ensure, ensureSameBytes } from "../assertions.ts";
import { type Check, type RegisterTest, registerChecks } from "../check.ts";
import { tinyContext } from "./tiny-context.ts";

/** An allocation. */
export interface AllocationSpec {
  readonly create: () => Allocation | Promise<Allocation>;
  /** For the names of the tests; default "the allocation". */
  readonly name?: string;
}

/** Registers the checks as tests. */
export function describeAllocation(suite: AllocationSpec & { readonly test: RegisterTest }): void {
  registerChecks(suite.test, suite.name ?? "the allocation", allocationChecks(suite));
}

const shapes: readonly (readonly (readonly number[])[])[] = [
  [[4, 6]],
  [
    [8, 3, 3, 3],
    [8, 1, 3, 3],
    [5, 8],
  ],
  [
    [40, 7],
    [1, 40],
    [3, 1],
  ],
];

/** Layers of a few networks, free, with bounds, and with one that must stay whole. */
function cases(): readonly { layers: readonly BoundedLayer[]; weights: Float32Array }[] {
  return shapes.flatMap((network, index) => {
    const rng = createRng(index);
    let start = 0;
    const layers = network.map((shape, l): BoundedLayer => {
      const size = shape.reduce((product, extent) => product * extent, 1);
      start += size;
      return { name: `layer${l}`, shape, start: start - size, size, least: 0, most: size };
    });
    const weights = Float32Array.from({ length: start }, () => rng.normal());
    const bounded = layers.map((layer, l) => (l === 0 ? { ...layer, least: Math.ceil(layer.size / 5) } : layer));
    const pruned = layers.map((layer) => ({ ...layer, most: Math.ceil(layer.size / 2) }));
    const last = layers.map((layer, l) => (l === layers.length - 1 ? { ...layer, least: layer.size } : layer));
    return [layers, bounded, pruned, last].map((some) => ({ layers: some, weights }));
  });
}

/** The checks of {@link describeAllocation}. */
export function allocationChecks({ create }: AllocationSpec): readonly Check[] {
  return [
    {
      name: "keeps whole numbers of weights, within every layer's bounds, as many in all as it is asked for",
      async run() {
        const { counts } = await create();
        if (!counts) return;
        for (const { layers, weights } of cases()) {
          const [least, most] = (["least", "most"] as const).map((key) =>
            layers.reduce((sum, one) => sum + one[key], 0),
          );
          for (const keep of new Set([least!, Math.round((least! + most!) / 2), most! - 1, most!])) {
            if (keep < least!) continue;
            const found = counts({ layers, keep, weights: weights.slice() }, tinyContext());
            const where = `keeping ${keep} of ${layers.map(({ size }) => size).join(" + ")}: found ${found.join(", ")}`;
            ensure(found.length === layers.length, () => `${where}, expected one count a layer`);
            ensure(
              found.reduce((sum, count) => sum + count, 0) === keep,
              () => `${where}, which is not ${keep} in all`,
            );
            found.forEach((count, l) => {
              const layer = layers[l]!;
              const isFine = Number.isInteger(count) && count >= layer.least && count <= layer.most;
              ensure(
                isFine,
                () => `${where}; of layer ${l} expected a whole number from ${layer.least} to ${layer.most}`,
              );
            });
          }
        }
      },
    },
    {
      name: "leaves the weights alone, and gives the same counts from the same seed",
      async run() {
        const { counts } = await create();
        if (!counts) return;
        for (const { layers, weights } of cases()) {
          const keep = layers.reduce((sum, { least, most }) => sum + Math.floor((least + most) / 2), 0);
          const given = weights.slice();
          const first = counts({ layers, keep, weights: given }, tinyContext());
          ensureSameBytes(given, weights, "the weights");
          const again = counts({ layers, keep, weights: given }, tinyContext());
          ensure(String(first) === String(again), () => `found ${first.join(", ")}, then ${again.join(", ")}`);
        }
      },
    },
    {
      name: "asks of every layer a fraction from 0 to 1 at least",
      async run() {
        const { floors } = await create();
        for (const { layers } of floors ? cases() : []) {
          const found = floors!(layers);
          const isFine = found.length === layers.length && found.every((floor) => floor >= 0 && floor <= 1);
          ensure(isFine, () => `floors: found ${found.join(", ")}, expected ${layers.length} fractions`);
        }
      },
    },
  ];
}
