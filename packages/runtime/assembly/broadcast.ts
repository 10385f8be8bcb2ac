// out = activation(a ? b) where one of both is stretched along some indices: a distance of 0. `?` is an operation of `combined`.
//
// Words: 2 a, 3 b, 4 out (row-major), 5 to 8 extents (the last one innermost), 9 to 12 distances in a, 13 to 16 in b, 17 operation,
// 18 activation, 19 low, 20 high. A unit is one pair of the first two indices. Innermost distances are 0 or one number.
import { activated } from "./activation";
import { combined } from "./simd";
import { real, word } from "./step";

// @ts-ignore: decorator
@inline
function read(from: usize, distance: u32): v128 {
  return distance == 0 ? v128.load32_splat(from) : v128.load(from);
}

export function broadcastUnits(step: usize, begin: u32, end: u32): void {
  const second = word(step, 6), rows = word(step, 7), count = word(step, 8);
  const aStep = word(step, 12), bStep = word(step, 16), operation = word(step, 17);
  const code = word(step, 18), low = real(step, 19), high = real(step, 20);
  for (let unit = begin; unit < end; unit++) {
    const i = unit / second, j = unit % second;
    let a: usize = word(step, 2) + i * word(step, 9) + j * word(step, 10);
    let b: usize = word(step, 3) + i * word(step, 13) + j * word(step, 14);
    let to: usize = word(step, 4) + unit * rows * (count << 2);
    for (let r = rows; r > 0; r--) {
      let x = a, y = b, left = count;
      for (; left >= 4; left -= 4, x += aStep << 2, y += bStep << 2, to += 16) {
        v128.store(to, activated(combined(read(x, aStep), read(y, bStep), operation), code, low, high));
      }
      for (; left > 0; left--, x += aStep, y += bStep, to += 4) {
        const v = activated(combined(v128.load32_splat(x), v128.load32_splat(y), operation), code, low, high);
        store<f32>(to, f32x4.extract_lane(v, 0));
      }
      a += word(step, 11);
      b += word(step, 15);
    }
  }
}
