/**
 * What the kernels of second moments of windows walk along (assembly/window-gram.ts): displacements between taps, the rectangles of pixels that their
 * sums are cut into, and which of those each pair of taps takes.
 */
import type { WindowShape } from "@secateur/core";
import { windowsShape } from "@secateur/core";

/** Pixels [from, to) along one axis. */
type Interval = readonly [from: number, to: number];

/** One displacement d of a pixel q + d from a pixel q, half of the plane. */
interface Displacement {
  readonly down: number;
  readonly across: number;
  /** Its rectangles, in places of the list of all. */
  readonly first: number;
  readonly end: number;
}

/** Two taps, t <= t', and the rectangles that their sum is made of. */
interface TapPair {
  readonly taps: readonly [number, number];
  readonly parts: readonly number[];
}

/** The tables of one shape. */
export interface WindowPairs {
  readonly displacements: readonly Displacement[];
  readonly rectangles: readonly (readonly [top: number, bottom: number, left: number, right: number])[];
  readonly pairs: readonly TapPair[];
}

/** Cuts up the sums of a shape of stride and dilation 1. O(taps^2 * cuts^2), which is a few thousand. */
export function windowPairs(shape: WindowShape): WindowPairs {
  const { height, width, kernel, padding } = shape;
  const { outHeight, outWidth } = windowsShape(shape);
  const rows = new Axis({ extent: height, positions: outHeight, taps: kernel[0], padding });
  const columns = new Axis({ extent: width, positions: outWidth, taps: kernel[1], padding });
  const displacements: Displacement[] = [];
  const rectangles: (readonly [number, number, number, number])[] = [];
  const pairs: TapPair[] = [];
  for (let down = 0; down < kernel[0]; down++) {
    for (let across = down === 0 ? 0 : 1 - kernel[1]; across < kernel[1]; across++) {
      const first = rectangles.length;
      const [vertical, horizontal] = [rows.cuts(down), columns.cuts(across)];
      for (const y of vertical) for (const x of horizontal) rectangles.push([...y, ...x]);
      displacements.push({ down, across, first, end: rectangles.length });
      for (let ky = 0; ky + down < kernel[0]; ky++) {
        for (let kx = Math.max(0, -across); kx + Math.max(0, across) < kernel[1]; kx++) {
          const [ys, xs] = [rows.common(ky, down), columns.common(kx, across)];
          const parts = vertical.flatMap((y, i) =>
            horizontal.flatMap((x, j) =>
              isWithin(y, ys) && isWithin(x, xs) ? [first + i * horizontal.length + j] : [],
            ),
          );
          const tap = ky * kernel[1] + kx;
          pairs.push({ taps: [tap, tap + down * kernel[1] + across], parts });
        }
      }
    }
  }
  return { displacements, rectangles, pairs };
}

/** One axis of images and windows. */
class Axis {
  readonly #spec: { extent: number; positions: number; taps: number; padding: number };

  constructor(spec: { extent: number; positions: number; taps: number; padding: number }) {
    this.#spec = spec;
  }

  /** The pixels q that a tap sees in some window while the tap `way` further sees q + way, both in the image. */
  common(tap: number, way: number): Interval {
    const { extent, positions, padding } = this.#spec;
    return [Math.max(0, -way, tap - padding), Math.min(extent, extent - way, positions + tap - padding)];
  }

  /** What the intervals of all taps that have one `way` further are made of: ascending, none of them empty. */
  cuts(way: number): readonly Interval[] {
    const { taps } = this.#spec;
    const all = Array.from({ length: taps }, (_, tap) => tap)
      .filter((tap) => tap + way >= 0 && tap + way < taps)
      .map((tap) => this.common(tap, way))
      .filter(([from, to]) => from < to);
    const ends = [...new Set(all.flat())].sort((a, b) => a - b);
    return ends
      .slice(1)
      .map((to, i): Interval => [ends[i]!, to])
      .filter((cut) => all.some((interval) => isWithin(cut, interval)));
  }
}

function isWithin([from, to]: Interval, [least, most]: Interval): boolean {
  return from >= least && to <= most;
}
