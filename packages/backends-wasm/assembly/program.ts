// out[i] = a program of functions over inputs that are read by strides, f32. Blocks of numbers go through all steps while they lie in the
// first-level cache, so that a chain of functions costs one pass over memory; what each step does is looked up once a block.
//
// Words of a program, u32: 0 inputs, 1 steps, 2 axes, 3 to 8 extents; then 8 words an input: kind, address (of kind CONSTANT: the number),
// strides in elements (i32); then 4 words a step: function, values.
import { errorFunctions, exponential, exponentials, finished, hyperbolicTangents, REDUCED_BYTES, reduce, sigmoids } from "./exponential";
import { promoteHigh } from "./simd";

/** Numbers of a block: a unit. */
const BLOCK: u32 = 512;
/** From one block of scratch to the next; more than a block, because vectors are written over its end. */
const REGISTER: usize = BLOCK * 4 + 64;
/** Where blocks begin in scratch: addresses of values and coordinates come first. */
const REGISTERS: usize = 512;
const COORDINATES: usize = 256;
/** The most values of a program, as src/rows/elementwise-program.ts has it; behind their blocks is room for what exponentials need. */
const MOST_VALUES: usize = 64;
const REDUCED: usize = REGISTERS + MOST_VALUES * REGISTER;

const CONSTANT: u32 = 0, WHOLE: u32 = 1;
const HEAD: usize = 9 * 4, INPUT: usize = 8 * 4, STEP: usize = 4 * 4;

// Numbers of functions, as src/rows/elementwise-program.ts has them.
const ADD: u32 = 0, SUBTRACT: u32 = 1, MULTIPLY: u32 = 2, DIVIDE: u32 = 3, MAX: u32 = 4, MIN: u32 = 5, PRELU: u32 = 6, SELECT: u32 = 7;
const NEGATE: u32 = 8, ABS: u32 = 9, SQRT: u32 = 10, EXP: u32 = 11, SIGMOID: u32 = 12, TANH: u32 = 13, ERF: u32 = 14;
// Pairs of functions in one pass: min(max(a, b), c) with numbers b and c, and a b + c.
const CLIP: u32 = 15, SCALE_ADD: u32 = 16;
// max and min of an array and a number that is not NaN: one instruction where those of two arrays are eight.
const AT_LEAST: u32 = 17, AT_MOST: u32 = 18;

// @ts-ignore: decorator
@inline
function word(at: usize, place: u32): u32 {
  return load<u32>(at + (place << 2));
}

/** A unit is a block of out. */
export function elementwise32(begin: u32, end: u32, scratch: usize, program: usize, out: usize, n: u32): void {
  const inputs = word(program, 0), steps = word(program, 1);
  const firstStep = program + HEAD + inputs * INPUT;
  for (let k: u32 = 0; k < inputs; k++) {
    const input = program + HEAD + k * INPUT;
    const register = scratch + REGISTERS + k * REGISTER;
    store<u32>(scratch + (k << 2), <u32>register);
    if (word(input, 0) == CONSTANT) fill(register, v128.load32_splat(input + 4), BLOCK);
  }
  for (let unit = begin; unit < end; unit++) {
    const from = unit * BLOCK, count = min(BLOCK, n - from);
    // Vectors would read and write over the end of a block that is no whole number of them.
    const isRagged = (count & 3) != 0;
    const target = out + (<usize>from << 2);
    for (let k: u32 = 0; k < inputs; k++) {
      const input = program + HEAD + k * INPUT;
      const kind = word(input, 0);
      if (kind == CONSTANT) continue;
      const register = scratch + REGISTERS + k * REGISTER;
      if (kind != WHOLE) gather(register, from, count, program, input, scratch + COORDINATES);
      else if (isRagged) memory.copy(register, word(input, 1) + (from << 2), count << 2);
      else store<u32>(scratch + (k << 2), word(input, 1) + (from << 2));
      if (kind == WHOLE && isRagged) store<u32>(scratch + (k << 2), <u32>register);
    }
    for (let s: u32 = 0; s < steps; s++) {
      const step = firstStep + s * STEP;
      const register = scratch + REGISTERS + (inputs + s) * REGISTER;
      const to = s == steps - 1 && !isRagged ? target : register;
      store<u32>(scratch + ((inputs + s) << 2), <u32>to);
      const a = load<u32>(scratch + (word(step, 1) << 2));
      const b = load<u32>(scratch + (word(step, 2) << 2));
      const c = load<u32>(scratch + (word(step, 3) << 2));
      apply(word(step, 0), to, a, b, c, (count + 3) >> 2 << 4, scratch + REDUCED);
    }
    const last = load<u32>(scratch + ((inputs + steps - 1) << 2));
    if (<usize>last != target) memory.copy(target, last, count << 2);
  }
}

function fill(to: usize, value: v128, count: u32): void {
  for (const stop = to + (<usize>count << 2); to < stop; to += 16) v128.store(to, value);
}

/** Numbers [from, from + count) of an input in the order of out. */
function gather(to: usize, from: u32, count: u32, program: usize, input: usize, coordinates: usize): void {
  const last = word(program, 2) - 1;
  const extents = program + 12, strides = input + 8;
  const extent = word(extents, last);
  const stride = <isize>load<i32>(strides + (last << 2)) << 2;
  let rest = from / extent, at = from % extent;
  let base = <isize>word(input, 1);
  for (let axis = <i32>last - 1; axis >= 0; axis--) {
    const size = word(extents, axis);
    store<u32>(coordinates + (axis << 2), rest % size);
    base += <isize>(rest % size) * (<isize>load<i32>(strides + (axis << 2)) << 2);
    rest /= size;
  }
  for (;;) {
    const run = min(extent - at, count);
    let source = base + <isize>at * stride;
    let left = run;
    if (stride == 0) {
      // May write over the end of the run, where the next one follows.
      fill(to, v128.load32_splat(source), run);
      to += <usize>run << 2;
    } else {
      if (stride == 4) {
        for (; left >= 4; left -= 4) {
          v128.store(to, v128.load(source));
          to += 16; source += 16;
        }
      }
      for (; left > 0; left--) {
        store<f32>(to, load<f32>(source));
        to += 4; source += stride;
      }
    }
    count -= run;
    if (count == 0) return;
    at = 0;
    for (let axis = <i32>last - 1; axis >= 0; axis--) {
      const size = word(extents, axis), next = load<u32>(coordinates + (axis << 2)) + 1;
      const step = <isize>load<i32>(strides + (axis << 2)) << 2;
      base += step;
      store<u32>(coordinates + (axis << 2), next == size ? 0 : next);
      if (next < size) break;
      base -= <isize>size * step;
    }
  }
}

/** One function over `bytes` of values, whole vectors of a block. */
function apply(f: u32, to: usize, a: usize, b: usize, c: usize, bytes: usize, scratch: usize): void {
  switch (f) {
    case ADD: over(ADD, to, a, b, c, bytes); break;
    case SUBTRACT: over(SUBTRACT, to, a, b, c, bytes); break;
    case MULTIPLY: over(MULTIPLY, to, a, b, c, bytes); break;
    case DIVIDE: over(DIVIDE, to, a, b, c, bytes); break;
    case MAX: over(MAX, to, a, b, c, bytes); break;
    case MIN: over(MIN, to, a, b, c, bytes); break;
    case PRELU: over(PRELU, to, a, b, c, bytes); break;
    case SELECT: over(SELECT, to, a, b, c, bytes); break;
    case NEGATE: over(NEGATE, to, a, b, c, bytes); break;
    case ABS: over(ABS, to, a, b, c, bytes); break;
    case SQRT: over(SQRT, to, a, b, c, bytes); break;
    case CLIP: over(CLIP, to, a, b, c, bytes); break;
    case SCALE_ADD: over(SCALE_ADD, to, a, b, c, bytes); break;
    case AT_LEAST: over(AT_LEAST, to, a, b, c, bytes); break;
    case AT_MOST: over(AT_MOST, to, a, b, c, bytes); break;
    case EXP: exponentials(to, a, bytes, scratch); break;
    case SIGMOID: sigmoids(to, a, bytes, scratch); break;
    case TANH: hyperbolicTangents(to, a, bytes, scratch); break;
    case ERF: errorFunctions(to, a, bytes, scratch); break;
    default: unreachable();
  }
}

/** Four vectors a round: the round itself costs as much as a function. */
// @ts-ignore: decorator
@inline
function over(f: u32, to: usize, a: usize, b: usize, c: usize, bytes: usize): void {
  let i: usize = 0;
  for (; i + 64 <= bytes; i += 64) {
    v128.store(to + i, one(f, a + i, b + i, c + i));
    v128.store(to + i, one(f, a + i + 16, b + i + 16, c + i + 16), 16);
    v128.store(to + i, one(f, a + i + 32, b + i + 32, c + i + 32), 32);
    v128.store(to + i, one(f, a + i + 48, b + i + 48, c + i + 48), 48);
  }
  for (; i < bytes; i += 16) v128.store(to + i, one(f, a + i, b + i, c + i));
}

/** A function of vectors at addresses; `f` is a constant wherever this is inlined, so that the other functions vanish. */
// @ts-ignore: decorator
@inline
function one(f: u32, a: usize, b: usize, c: usize): v128 {
  const x = v128.load(a);
  if (f == NEGATE) return f32x4.neg(x);
  if (f == ABS) return f32x4.abs(x);
  if (f == SQRT) return f32x4.sqrt(x);
  const y = v128.load(b);
  if (f == ADD) return f32x4.add(x, y);
  if (f == SUBTRACT) return f32x4.sub(x, y);
  if (f == MULTIPLY) return f32x4.mul(x, y);
  if (f == DIVIDE) return f32x4.div(x, y);
  if (f == MAX) return f32x4.max(x, y);
  if (f == MIN) return f32x4.min(x, y);
  if (f == PRELU) return v128.bitselect(f32x4.mul(x, y), x, f32x4.lt(x, f32x4.splat(0)));
  // Of two numbers that do not compare the first is taken, so that NaN stays.
  if (f == AT_LEAST) return f32x4.pmax(x, y);
  if (f == AT_MOST) return f32x4.pmin(x, y);
  const z = v128.load(c);
  if (f == SELECT) return v128.bitselect(y, z, f32x4.ne(x, f32x4.splat(0)));
  if (f == CLIP) return f32x4.pmin(f32x4.pmax(x, y), z);
  // Rounded twice, as the two functions that it stands for.
  return f32x4.add(f32x4.mul(x, y), z);
}

/** out = the softmax of rows of f32, or its logarithm; the sum is taken in f64. A unit is one row. */
export function softmax32(begin: u32, end: u32, scratch: usize, a: usize, out: usize, cols: u32, isLogarithm: bool): void {
  const bytes = <usize>cols << 2, whole = bytes & ~15;
  for (let row = begin; row < end; row++) {
    const from = a + row * bytes, to = out + row * bytes;
    let tops = f32x4.splat(-Infinity);
    for (let i: usize = 0; i < whole; i += 16) tops = f32x4.pmax(v128.load(from + i), tops);
    let top = max(max(f32x4.extract_lane(tops, 0), f32x4.extract_lane(tops, 1)), max(f32x4.extract_lane(tops, 2), f32x4.extract_lane(tops, 3)));
    for (let i = whole; i < bytes; i += 4) top = max<f32>(top, load<f32>(from + i));
    const shift = f32x4.splat(top);
    let low = f64x2.splat(0), high = f64x2.splat(0);
    for (let start: usize = 0; start < whole; start += REDUCED_BYTES) {
      const size = min(REDUCED_BYTES, whole - start);
      for (let i: usize = 0; i < size; i += 16) reduce(f32x4.sub(v128.load(from + start + i), shift), scratch + i);
      for (let i: usize = 0; i < size; i += 16) {
        const value = finished(scratch + i);
        low = f64x2.add(low, f64x2.promote_low_f32x4(value));
        high = f64x2.add(high, promoteHigh(value));
        if (!isLogarithm) v128.store(to + start + i, value);
      }
    }
    low = f64x2.add(low, high);
    let sum = f64x2.extract_lane(low, 0) + f64x2.extract_lane(low, 1);
    for (let i = whole; i < bytes; i += 4) {
      const value = f32x4.extract_lane(exponential(f32x4.splat(load<f32>(from + i) - top), scratch), 0);
      sum += <f64>value;
      if (!isLogarithm) store<f32>(to + i, value);
    }
    if (isLogarithm) {
      const log = <f32>NativeMath.log(sum), logs = f32x4.splat(log);
      for (let i: usize = 0; i < whole; i += 16) v128.store(to + i, f32x4.sub(f32x4.sub(v128.load(from + i), shift), logs));
      for (let i = whole; i < bytes; i += 4) store<f32>(to + i, load<f32>(from + i) - top - log);
    } else {
      const scale = <f32>(1 / sum), scales = f32x4.splat(scale);
      for (let i: usize = 0; i < whole; i += 16) v128.store(to + i, f32x4.mul(v128.load(to + i), scales));
      for (let i = whole; i < bytes; i += 4) store<f32>(to + i, load<f32>(to + i) * scale);
    }
  }
}
