// Numbers from one layout to another: inputs into planes, planes into outputs, flattening, concatenation, every second position.
//
// Words: 2 in, 3 out, 4 to 7 extents (the last one innermost), 8 to 11 distances in `in`, 12 to 15 in `out`. A unit is one pair of the
// first two indices. Subnormal numbers become zero.
import { normal, normalScalar } from "./simd";
import { word } from "./step";

export function copyUnits(step: usize, begin: u32, end: u32): void {
  const second = word(step, 5), rows = word(step, 6), count = word(step, 7);
  const inRow = word(step, 10), inStep = word(step, 11), outRow = word(step, 14), outStep = word(step, 15);
  for (let unit = begin; unit < end; unit++) {
    const i = unit / second, j = unit % second;
    let from: usize = word(step, 2) + i * word(step, 8) + j * word(step, 9);
    let to: usize = word(step, 3) + i * word(step, 12) + j * word(step, 13);
    for (let r = rows; r > 0; r--) {
      let a = from, b = to, left = count;
      if (inStep == 4 && outStep == 4) {
        for (; left >= 4; left -= 4, a += 16, b += 16) v128.store(b, normal(v128.load(a)));
      } else if (inStep == 8 && outStep == 4) {
        // One vector more is read than the last four pairs hold only where another pair follows.
        for (; left > 4; left -= 4, a += 32, b += 16) {
          v128.store(b, normal(v128.shuffle<f32>(v128.load(a), v128.load(a, 16), 0, 2, 4, 6)));
        }
      }
      for (; left > 0; left--, a += inStep, b += outStep) store<f32>(b, normalScalar(load<f32>(a)));
      from += inRow;
      to += outRow;
    }
  }
}
