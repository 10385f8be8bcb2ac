// The products of a chain of dense layers with ReLU between them, linear around its weights: tangents forward, deltas back, the sums of what
// kept weights see. Examples lie in panels of 32; all of one panel is done before the next begins, so that what a layer hands on stays in
// the first cache and inputs are read from memory once.
// src/products/chain-program.ts writes what is walked along: for each layer a header (the words below), and lists of entries of sparse matrices.
// A list is cut into segments: the way of a row's line, how many entries follow, of each the way of the line it reads; ways are in bytes.
// Entries of a row are split at blocks of columns whose lines fit the first cache, and blocks come one after the other.
import { madd, sumOfLanes } from "./simd";

/** Columns of a panel. */
const WIDTH: usize = 32;
/** Bytes that are summed at a time: 8 vectors stay in registers. */
const STEP: usize = 128;

/** Words of a layer's header, in bytes. */
const INPUTS: usize = 0;
const INPUT_LINES: usize = 4;
const OUTPUT_LINES: usize = 8;
const GATE: usize = 12;
const KEPT: usize = 16;
const KEPT_END: usize = 20;
const KEPT_FIRST: usize = 24;
const FORTH: usize = 28;
const FORTH_END: usize = 32;
const FORTH_VALUES: usize = 36;
const BACK: usize = 40;
const BACK_END: usize = 44;
const BACK_VALUES: usize = 48;
/** Where its lines of tangents and deltas begin in a thread's own memory. */
const LINES: usize = 52;
const HEADER: usize = 56;

/** to[row] += sum of values[e] from[column of e] over the entries of a list. */
function addTimes<T>(list: usize, end: usize, values: usize, from: usize, to: usize): void {
  for (let shift: usize = 0; shift < WIDTH * sizeof<T>(); shift += STEP) {
    const source = from + shift;
    let at = list, value = values;
    while (at < end) {
      const target = to + load<u32>(at) + shift;
      const last = at + 8 + (<usize>load<u32>(at, 4) << 2);
      let s0 = v128.load(target), s1 = v128.load(target, 16), s2 = v128.load(target, 32), s3 = v128.load(target, 48);
      let s4 = v128.load(target, 64), s5 = v128.load(target, 80), s6 = v128.load(target, 96), s7 = v128.load(target, 112);
      for (at += 8; at < last; at += 4) {
        const x = source + load<u32>(at);
        const v = v128.load_splat<T>(value);
        value += sizeof<T>();
        s0 = madd<T>(v, v128.load(x), s0); s1 = madd<T>(v, v128.load(x, 16), s1);
        s2 = madd<T>(v, v128.load(x, 32), s2); s3 = madd<T>(v, v128.load(x, 48), s3);
        s4 = madd<T>(v, v128.load(x, 64), s4); s5 = madd<T>(v, v128.load(x, 80), s5);
        s6 = madd<T>(v, v128.load(x, 96), s6); s7 = madd<T>(v, v128.load(x, 112), s7);
      }
      v128.store(target, s0); v128.store(target, s1, 16); v128.store(target, s2, 32); v128.store(target, s3, 48);
      v128.store(target, s4, 64); v128.store(target, s5, 80); v128.store(target, s6, 96); v128.store(target, s7, 112);
    }
  }
}

/** sums[e] += a[row of e] b[column of e], a vector for each entry, over the entries of a list. */
function addProducts<T>(list: usize, end: usize, a: usize, b: usize, sums: usize): void {
  for (let shift: usize = 0; shift < WIDTH * sizeof<T>(); shift += STEP) {
    const source = b + shift;
    let at = list, place = sums;
    while (at < end) {
      const line = a + load<u32>(at) + shift;
      const last = at + 8 + (<usize>load<u32>(at, 4) << 2);
      const d0 = v128.load(line), d1 = v128.load(line, 16), d2 = v128.load(line, 32), d3 = v128.load(line, 48);
      const d4 = v128.load(line, 64), d5 = v128.load(line, 80), d6 = v128.load(line, 96), d7 = v128.load(line, 112);
      for (at += 8; at < last; at += 4) {
        const x = source + load<u32>(at);
        let even = madd<T>(v128.load(x), d0, v128.load(place));
        let odd = v128.mul<T>(v128.load(x, 16), d1);
        even = madd<T>(v128.load(x, 32), d2, even); odd = madd<T>(v128.load(x, 48), d3, odd);
        even = madd<T>(v128.load(x, 64), d4, even); odd = madd<T>(v128.load(x, 80), d5, odd);
        even = madd<T>(v128.load(x, 96), d6, even); odd = madd<T>(v128.load(x, 112), d7, odd);
        v128.store(place, v128.add<T>(even, odd));
        place += 16;
      }
    }
  }
}

/** Reads some memory in order, which is what it is fastest at: entries read lines that lie apart, and took half as long again without. */
// @ts-ignore: decorator
@inline
function touch(from: usize, bytes: usize, room: usize): void {
  let seen = v128.splat<i32>(0);
  for (let at = from; at < from + bytes; at += 128) seen = v128.or(seen, v128.or(v128.load(at), v128.load(at, 64)));
  v128.store(room, seen);
}

/** Numbers whose gate is not positive become 0. */
// @ts-ignore: decorator
@inline
function close<T>(lines: usize, gate: usize, bytes: usize): void {
  const zero = v128.splat<T>(<T>0);
  for (let at: usize = 0; at < bytes; at += 16) {
    v128.store(lines + at, v128.and(v128.load(lines + at), v128.gt<T>(v128.load(gate + at), zero)));
  }
}

/**
 * t = (diag(p) - p p') t for each column of a panel of probabilities. Numbers are taken less that of the likeliest class, which changes nothing where p
 * sums to 1: where p is nearly 1 what is left of t less its mean would be rounding.
 */
// @ts-ignore: decorator
@inline
function timesSoftmaxHessian<T>(p: usize, t: usize, bytes: usize): void {
  const line = WIDTH * sizeof<T>();
  for (let shift: usize = 0; shift < line; shift += 16) {
    let most = v128.load(p + shift), likeliest = v128.load(t + shift);
    for (let at = shift + line; at < bytes; at += line) {
      const next = v128.load(p + at);
      const isMore = v128.gt<T>(next, most);
      most = v128.bitselect(next, most, isMore);
      likeliest = v128.bitselect(v128.load(t + at), likeliest, isMore);
    }
    let mean = v128.splat<T>(<T>0);
    for (let at = shift; at < bytes; at += line) {
      const beside = v128.sub<T>(v128.load(t + at), likeliest);
      v128.store(t + at, beside);
      mean = madd<T>(v128.load(p + at), beside, mean);
    }
    for (let at = shift; at < bytes; at += line) {
      v128.store(t + at, v128.mul<T>(v128.load(p + at), v128.sub<T>(v128.load(t + at), mean)));
    }
  }
}

/**
 * Units are groups of panels, of `groups` in all. Tangents of the flat vector `values` (of entries in the order of the lists; 0 = none) go to
 * `outputs`, or with `probabilities` through the Hessian of the cross-entropy and back; without values deltas at the outputs come from there.
 * The sums of a group go to its part of `groupSums`, in f64. `own` is the thread's own memory: a vector for each entry, then lines.
 */
// @ts-ignore: decorator
@inline
export function chain<T>(
  begin: u32, end: u32, own: usize, layers: usize, layerCount: u32, count: u32, groups: u32, entries: u32,
  values: usize, outputs: usize, probabilities: usize, groupSums: usize,
): void {
  const line = WIDTH * sizeof<T>();
  const lines = own + (<usize>entries << 4);
  const last = layers + <usize>(layerCount - 1) * HEADER;
  const outputBytes = <usize>load<u32>(last + OUTPUT_LINES) * line;
  const isBack = groupSums != 0;
  for (let group = begin; group < end; group++) {
    if (isBack) memory.fill(own, 0, <usize>entries << 4);
    const from = <u32>(<u64>group * count / groups), to = <u32>(<u64>(group + 1) * count / groups);
    for (let p = <usize>from; p < <usize>to; p++) {
      const top = lines + load<u32>(last + LINES);
      const inputBytes = load<u32>(layers + INPUT_LINES) * line;
      touch(load<u32>(layers + INPUTS) + p * inputBytes, inputBytes, top);
      if (values) {
        for (let layer = layers; layer <= last; layer += HEADER) {
          const tangents = lines + load<u32>(layer + LINES);
          const bytes = <usize>load<u32>(layer + OUTPUT_LINES) * line;
          memory.fill(tangents, 0, bytes);
          if (layer != layers) {
            const before = lines + load<u32>(layer - HEADER + LINES);
            addTimes<T>(load<u32>(layer + FORTH), load<u32>(layer + FORTH_END), load<u32>(layer + FORTH_VALUES), before, tangents);
          }
          const inputs = load<u32>(layer + INPUTS) + p * load<u32>(layer + INPUT_LINES) * line;
          addTimes<T>(load<u32>(layer + KEPT), load<u32>(layer + KEPT_END), values + load<u32>(layer + KEPT_FIRST) * sizeof<T>(), inputs, tangents);
          const gate = load<u32>(layer + GATE);
          if (gate) close<T>(tangents, gate + p * bytes, bytes);
        }
        if (probabilities) timesSoftmaxHessian<T>(probabilities + p * outputBytes, top, outputBytes);
        else memory.copy(outputs + p * outputBytes, top, outputBytes);
      } else memory.copy(top, outputs + p * outputBytes, outputBytes);
      if (isBack) {
        for (let layer = last; layer >= layers; layer -= HEADER) {
          const deltas = lines + load<u32>(layer + LINES);
          const bytes = <usize>load<u32>(layer + OUTPUT_LINES) * line;
          const gate = load<u32>(layer + GATE);
          if (gate) close<T>(deltas, gate + p * bytes, bytes);
          const inputs = load<u32>(layer + INPUTS) + p * load<u32>(layer + INPUT_LINES) * line;
          addProducts<T>(load<u32>(layer + KEPT), load<u32>(layer + KEPT_END), deltas, inputs, own + (<usize>load<u32>(layer + KEPT_FIRST) << 4));
          if (layer == layers) break;
          const before = lines + load<u32>(layer - HEADER + LINES);
          memory.fill(before, 0, load<u32>(layer + INPUT_LINES) * line);
          addTimes<T>(load<u32>(layer + BACK), load<u32>(layer + BACK_END), load<u32>(layer + BACK_VALUES), deltas, before);
        }
      }
    }
    if (isBack) {
      const sums = groupSums + (<usize>group * entries << 3);
      for (let e: usize = 0; e < <usize>entries; e++) store<f64>(sums + (e << 3), sumOfLanes<T>(v128.load(own + (e << 4))));
    }
  }
}

/** lines = sqrt(p_c) (e_c - p), column c of a root of diag(p) - p p', for each column of a panel of probabilities; 1 - p_c is the sum of the others, which keeps its digits. */
// @ts-ignore: decorator
@inline
function rootColumn<T>(p: usize, c: usize, lines: usize, bytes: usize): void {
  const line = WIDTH * sizeof<T>();
  const own = c * line;
  for (let shift: usize = 0; shift < line; shift += 16) {
    const negative = v128.neg<T>(v128.sqrt<T>(v128.load(p + own + shift)));
    let others = v128.splat<T>(<T>0);
    for (let at = shift; at < bytes; at += line) {
      const beside = v128.mul<T>(negative, v128.load(p + at));
      v128.store(lines + at, beside);
      if (at != own + shift) others = v128.sub<T>(others, beside);
    }
    v128.store(lines + own + shift, others);
  }
}

/** sums += lines^2 */
// @ts-ignore: decorator
@inline
function addSquares<T>(lines: usize, sums: usize, bytes: usize): void {
  for (let at: usize = 0; at < bytes; at += 16) {
    const x = v128.load(lines + at);
    v128.store(sums + at, madd<T>(x, x, v128.load(sums + at)));
  }
}

/**
 * Units are panels. For each layer the sum over the columns of the root of the squares of its deltas, at the addresses of `targets`.
 * `lines` is the thread's own memory.
 */
// @ts-ignore: decorator
@inline
export function chainSquares<T>(begin: u32, end: u32, lines: usize, layers: usize, layerCount: u32, probabilities: usize, targets: usize): void {
  const line = WIDTH * sizeof<T>();
  const last = layers + <usize>(layerCount - 1) * HEADER;
  const classes = <usize>load<u32>(last + OUTPUT_LINES);
  for (let p = <usize>begin; p < <usize>end; p++) {
    for (let c: usize = 0; c < classes; c++) {
      rootColumn<T>(probabilities + p * classes * line, c, lines + load<u32>(last + LINES), classes * line);
      let target = targets + (<usize>layerCount << 2);
      for (let layer = last; ; layer -= HEADER) {
        target -= 4;
        const deltas = lines + load<u32>(layer + LINES);
        const bytes = <usize>load<u32>(layer + OUTPUT_LINES) * line;
        const gate = load<u32>(layer + GATE);
        if (gate) close<T>(deltas, gate + p * bytes, bytes);
        const sums = load<u32>(target) + p * bytes;
        if (c == 0) memory.fill(sums, 0, bytes);
        addSquares<T>(deltas, sums, bytes);
        if (layer == layers) break;
        const before = lines + load<u32>(layer - HEADER + LINES);
        memory.fill(before, 0, load<u32>(layer + INPUT_LINES) * line);
        addTimes<T>(load<u32>(layer + BACK), load<u32>(layer + BACK_END), load<u32>(layer + BACK_VALUES), deltas, before);
      }
    }
  }
}

/** Units are entries: the sums of all groups are added to those of the first, in order. */
export function addGroups(begin: u32, end: u32, scratch: usize, sums: usize, groups: u32, entries: u32): void {
  const step = <usize>entries << 3;
  for (let e = begin; e < end; e++) {
    let at = sums + (<usize>e << 3);
    const first = at;
    let sum = load<f64>(at);
    for (let group: u32 = 1; group < groups; group++) {
      at += step;
      sum += load<f64>(at);
    }
    store<f64>(first, sum);
  }
}
