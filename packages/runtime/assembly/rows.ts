// What is done over all features of a position: softmax and layer normalisation. A unit is a position. Sums are taken in f64.
import { exponential } from "./exponential";
import { normal, normalScalar } from "./simd";
import { word } from "./step";

// @ts-ignore: decorator
@inline
function exponentialOf(x: f32): f32 {
  return f32x4.extract_lane(exponential(f32x4.splat(x)), 0);
}

/**
 * out = exp(x - max) / sum, or its logarithm. Words: 2 in, 3 out, 4 and 5 from position to position, 6 and 7 from feature to feature,
 * 8 features, 9 is logarithm.
 */
export function softmaxUnits(step: usize, begin: u32, end: u32): void {
  const inStep = word(step, 6), outStep = word(step, 7), features = word(step, 8), isLogarithm = word(step, 9) != 0;
  for (let unit = begin; unit < end; unit++) {
    const from = word(step, 2) + unit * word(step, 4), to = word(step, 3) + unit * word(step, 5);
    let top: f32 = -Infinity;
    let f: u32 = 0;
    if (inStep == 4) {
      let tops = f32x4.splat(-Infinity);
      for (; f + 4 <= features; f += 4) tops = f32x4.max(tops, v128.load(from + (f << 2)));
      top = max(max(f32x4.extract_lane(tops, 0), f32x4.extract_lane(tops, 1)), max(f32x4.extract_lane(tops, 2), f32x4.extract_lane(tops, 3)));
    }
    for (; f < features; f++) top = max(top, load<f32>(from + f * inStep));
    let sum: f64 = 0;
    f = 0;
    if (inStep == 4 && outStep == 4) {
      // Two sums in f64: a position is one unit, so that which numbers meet in one does not depend on how work is cut.
      let sums = f64x2.splat(0);
      for (; f + 4 <= features; f += 4) {
        const e = exponential(f32x4.sub(v128.load(from + (f << 2)), f32x4.splat(top)));
        if (!isLogarithm) v128.store(to + (f << 2), e);
        sums = f64x2.add(sums, f64x2.add(f64x2.promote_low_f32x4(e), f64x2.promote_low_f32x4(v128.shuffle<f32>(e, e, 2, 3, 2, 3))));
      }
      sum = f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1);
    }
    for (; f < features; f++) {
      const e = exponentialOf(load<f32>(from + f * inStep) - top);
      sum += <f64>e;
      if (!isLogarithm) store<f32>(to + f * outStep, e);
    }
    if (isLogarithm) {
      const shift = <f64>top + Math.log(sum);
      for (f = 0; f < features; f++) store<f32>(to + f * outStep, normalScalar(<f32>(<f64>load<f32>(from + f * inStep) - shift)));
    } else {
      const scale = <f32>(1 / sum);
      f = 0;
      if (outStep == 4) {
        for (; f + 4 <= features; f += 4) {
          v128.store(to + (f << 2), normal(f32x4.mul(v128.load(to + (f << 2)), f32x4.splat(scale))));
        }
      }
      for (; f < features; f++) store<f32>(to + f * outStep, normalScalar(load<f32>(to + f * outStep) * scale));
    }
  }
}

/**
 * out = weight (x - mean) / sqrt(variance + epsilon) + bias. Words: 2 in, 3 out, 4 and 5 from position to position, 6 and 7 from feature
 * to feature, 8 features, 9 weight (0: none), 10 bias, 11 epsilon.
 */
export function layerNormUnits(step: usize, begin: u32, end: u32): void {
  const inStep = word(step, 6), outStep = word(step, 7), features = word(step, 8), epsilon = <f64>load<f32>(step + 44);
  for (let unit = begin; unit < end; unit++) {
    const from = word(step, 2) + unit * word(step, 4), to = word(step, 3) + unit * word(step, 5);
    let sum: f64 = 0, squares: f64 = 0;
    for (let f: u32 = 0; f < features; f++) sum += <f64>load<f32>(from + f * inStep);
    const mean = sum / <f64>features;
    for (let f: u32 = 0; f < features; f++) {
      const d = <f64>load<f32>(from + f * inStep) - mean;
      squares += d * d;
    }
    const scale = 1 / sqrt<f64>(squares / <f64>features + epsilon);
    for (let f: u32 = 0; f < features; f++) {
      const x = (<f64>load<f32>(from + f * inStep) - mean) * scale;
      const value = word(step, 9) == 0 ? x : x * <f64>load<f32>(word(step, 9) + (f << 2)) + <f64>load<f32>(word(step, 10) + (f << 2));
      store<f32>(to + f * outStep, normalScalar(<f32>value));
    }
  }
}

/** Numbers of the operations of `reduceUnits`. */
const MEAN: u32 = 0, SUM: u32 = 1, MAX: u32 = 2;

/** out = mean, sum, largest or smallest of a position's features. Words: 2 in, 3 out, 4 features (one behind the other), 5 operation. */
export function reduceUnits(step: usize, begin: u32, end: u32): void {
  const features = word(step, 4), operation = word(step, 5);
  for (let unit = begin; unit < end; unit++) {
    const from = word(step, 2) + unit * (features << 2);
    let value: f64;
    if (operation == MEAN || operation == SUM) {
      let sum: f64 = 0;
      for (let f: u32 = 0; f < features; f++) sum += <f64>load<f32>(from + (f << 2));
      value = operation == MEAN ? sum / <f64>features : sum;
    } else {
      let most = load<f32>(from);
      for (let f: u32 = 1; f < features; f++) {
        const x = load<f32>(from + (f << 2));
        most = operation == MAX ? max(most, x) : min(most, x);
      }
      value = <f64>most;
    }
    store<f32>(word(step, 3) + (unit << 2), normalScalar(<f32>value));
  }
}
