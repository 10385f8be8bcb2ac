// What is done number by number. A unit is a plane: a channel of an image, a feature of many positions, or a whole vector.
import { activated } from "./activation";
import { combined } from "./simd";
import { real, word } from "./step";

/** out = f(in). Words: 2 in, 3 out, 4 and 5 from plane to plane, 6 vectors, 7 mask of positions or 0, 8 f, 9 low, 10 high. */
export function unaryUnits(step: usize, begin: u32, end: u32): void {
  const vectors = word(step, 6), f = word(step, 8), low = real(step, 9), high = real(step, 10);
  for (let plane = begin; plane < end; plane++) {
    const from = word(step, 2) + plane * word(step, 4), to = word(step, 3) + plane * word(step, 5);
    for (let i: u32 = 0; i < vectors; i++) {
      const at = i << 4;
      let v = activated(v128.load(from + at), f, low, high);
      if (word(step, 7) != 0) v = v128.and(v, v128.load(word(step, 7) + at));
      v128.store(to + at, v);
    }
  }
}

/**
 * out = activation(a ? b), ? the operation of word 9 (see `combined`). Words: 2 a, 3 b, 4 out; 5, 6, 7 from plane to plane; 8 vectors; 10 is
 * b one number a plane; 11 activation, 12 low, 13 high; 14 mask of positions or 0.
 */
export function binaryUnits(step: usize, begin: u32, end: u32): void {
  const vectors = word(step, 8), operation = word(step, 9), code = word(step, 11), low = real(step, 12), high = real(step, 13);
  for (let plane = begin; plane < end; plane++) {
    const a = word(step, 2) + plane * word(step, 5), b = word(step, 3) + plane * word(step, 6), out = word(step, 4) + plane * word(step, 7);
    const splat = v128.load32_splat(b);
    for (let i: u32 = 0; i < vectors; i++) {
      const at = i << 4;
      const x = v128.load(a + at), y = word(step, 10) != 0 ? splat : v128.load(b + at);
      let v = activated(combined(x, y, operation), code, low, high);
      if (word(step, 14) != 0) v = v128.and(v, v128.load(word(step, 14) + at));
      v128.store(out + at, v);
    }
  }
}

/**
 * out = activation(scale a + shift), one scale and shift a channel (14 = 0) or an entry of a vector (14 = 1). Words: 2 a, 3 out, 4 and 5
 * from plane to plane, 6 vectors, 7 scale, 8 shift, 9 channels, 10 mask or 0, 11 activation, 12 low, 13 high.
 */
export function affineUnits(step: usize, begin: u32, end: u32): void {
  const vectors = word(step, 6), code = word(step, 11), low = real(step, 12), high = real(step, 13);
  const scales = word(step, 7), shifts = word(step, 8), isByEntry = word(step, 14) != 0;
  for (let plane = begin; plane < end; plane++) {
    const a = word(step, 2) + plane * word(step, 4), out = word(step, 3) + plane * word(step, 5);
    const channel = isByEntry ? 0 : plane % word(step, 9) << 2;
    const scale = v128.load32_splat(scales + channel), shift = v128.load32_splat(shifts + channel);
    for (let i: u32 = 0; i < vectors; i++) {
      const at = i << 4;
      const x = v128.load(a + at);
      const product = f32x4.mul(x, isByEntry ? v128.load(scales + at) : scale);
      let v = activated(f32x4.add(product, isByEntry ? v128.load(shifts + at) : shift), code, low, high);
      if (word(step, 10) != 0) v = v128.and(v, v128.load(word(step, 10) + at));
      v128.store(out + at, v);
    }
  }
}
