/**
 * Reshapes as maps between mixed radices: axes on both sides that multiply to the same are a block, and within a block a place is the tuple of
 * its digits. Where axes are joined, a place goes where any of its digits' identities goes; where one is cut into several, its identities are
 * either the same along all but one of them, as those of flattened images are, or become products, as those of attention heads are.
 */
import type { Shape } from "../../value.ts";
import { type Axes, type Axis, fixedIdentity, type Identities } from "../identities.ts";
import type { ChannelRule } from "./channel-rule.ts";

/** Reshape, Flatten, Squeeze, Unsqueeze: elements stay in their order. */
export const reshaped: ChannelRule = ({ inputs, outputs, identities, why }) => {
  const { shape, axes } = inputs[0]!;
  return outputs.map((output) => reshapedAxes({ shape, axes, to: output.shape, identities, why }));
};

interface Reshaping {
  readonly shape: Shape;
  readonly axes: Axes;
  readonly to: Shape;
  readonly identities: Identities;
  readonly why: string;
}

/** The axes of the same elements in another shape. */
function reshapedAxes({ shape, axes, to, identities, why }: Reshaping): Axes {
  const out: Axis[] = [];
  let [i, o] = [0, 0];
  while (i < shape.length || o < to.length) {
    const [firstIn, firstOut] = [i, o];
    let [left, right] = [shape[i++] ?? 1, to[o++] ?? 1];
    while (left !== right) {
      if (left < right && i < shape.length) left *= shape[i++]!;
      else if (o < to.length) right *= to[o++]!;
      else left *= shape[i++] ?? right;
    }
    const own = { extents: shape.slice(firstIn, i), axes: axes.slice(firstIn, i) };
    const extents = to.slice(firstOut, o);
    out.push(...block(own, extents, identities, why));
  }
  return out;
}

function block(own: { extents: Shape; axes: Axes }, extents: Shape, identities: Identities, why: string): Axes {
  const real = own.extents.flatMap((extent, i) => (extent === 1 ? [] : [{ extent, axis: own.axes[i] }]));
  if (real.every(({ axis }) => axis === undefined)) return extents.map(() => undefined);
  const wanted = extents.flatMap((extent, i) => (extent === 1 ? [] : [i]));
  const given = new Array<Axis>(extents.length).fill(undefined);
  const put = (parts: readonly Axis[]): Axes => {
    wanted.forEach((place, i) => {
      given[place] = parts[i];
    });
    return given;
  };
  const same = real.length === wanted.length && real.every(({ extent }, i) => extent === extents[wanted[i]!]);
  if (same) return put(real.map(({ axis }) => axis));
  const joined = real.slice(1).reduce<Axis>((sum, { axis, extent }, i) => {
    return join(
      { axis: sum, extent: real.slice(0, i + 1).reduce((size, one) => size * one.extent, 1) },
      { axis, extent },
      identities,
    );
  }, real[0]!.axis);
  return put(
    part(
      joined!,
      wanted.map((place) => extents[place]!),
      identities,
      why,
    ),
  );
}

interface Digit {
  readonly axis: Axis;
  readonly extent: number;
}

function join(a: Digit, b: Digit, identities: Identities): Axis {
  if (!a.axis && !b.axis) return undefined;
  const known = new Map<string, number>();
  const out = new Int32Array(a.extent * b.extent);
  for (let i = 0, k = 0; i < a.extent; i++) {
    for (let j = 0; j < b.extent; j++, k++) {
      const [x, y] = [a.axis?.[i] ?? fixedIdentity, b.axis?.[j] ?? fixedIdentity];
      if (x === fixedIdentity || y === fixedIdentity) {
        out[k] = x + y;
        continue;
      }
      const key = `${x} ${y}`;
      out[k] = known.get(key) ?? identities.product([x, y]);
      known.set(key, out[k]!);
    }
  }
  return out;
}

/** One axis as several. */
function part(axis: Int32Array, extents: Shape, identities: Identities, why: string): readonly Axis[] {
  if (extents.length < 2) return [axis];
  const places = (digit: number, visit: (place: number, at: number) => void): void => {
    const inner = extents.slice(digit + 1).reduce((size, extent) => size * extent, 1);
    for (let place = 0; place < axis.length; place++) visit(place, Math.floor(place / inner) % extents[digit]!);
  };
  const keyOf = (place: number): string => identities.causesOf(axis[place]!).join();
  const keys = Array.from(axis, (_, place) => keyOf(place));
  const digits = extents.map((extent, digit) => {
    // The identities that all places with this digit have in common.
    const common = new Array<Set<number> | undefined>(extent).fill(undefined);
    places(digit, (place, at) => {
      const own = identities.causesOf(axis[place]!);
      const before = common[at];
      common[at] = new Set(before ? own.filter((cause) => before.has(cause)) : own);
    });
    return common.map((set) => [...set!]);
  });
  // Where what the digits have in common explains every place, the axis was made of them.
  const explained = new Array<Set<number>>(axis.length);
  for (let place = 0; place < axis.length; place++) explained[place] = new Set();
  digits.forEach((common, digit) => {
    places(digit, (place, at) => {
      for (const cause of common[at]!) explained[place]!.add(cause);
    });
  });
  const isMade = keys.every((key, place) => [...explained[place]!].sort((a, b) => a - b).join() === key);
  if (isMade) return digits.map((common) => Int32Array.from(common, (causes) => identities.product(causes)));
  const fresh = extents.map((extent) => identities.fresh(extent));
  const own = new Array<number[]>(axis.length);
  for (let place = 0; place < axis.length; place++) own[place] = [];
  fresh.forEach((ids, digit) => {
    places(digit, (place, at) => {
      own[place]!.push(ids[at]!);
    });
  });
  own.forEach((parts, place) => {
    identities.unite(axis[place]!, identities.product(parts), why);
  });
  return fresh;
}
