// Gradients of convolutions by their filters and inputs, one image at a time: what TensorFlow.js's WASM engine lacks.
// Images are [height, width, channels] and padded, so that no window leaves them. Steps and offsets are in bytes.

/** Copies an image into a padded one whose border is zero; every channel `repeat` times, channels filled up to `lanes`. */
export function padImage(
  image: usize,
  padded: usize,
  height: i32,
  width: i32,
  channels: i32,
  repeat: i32,
  lanes: i32,
  rowStep: usize,
  firstOffset: usize,
): void {
  for (let y = 0; y < height; y++) {
    let to = padded + firstOffset + <usize>y * rowStep;
    let from = image + <usize>(y * width * channels) * 4;
    if (repeat == 1 && channels == lanes) {
      memory.copy(to, from, <usize>(width * channels) * 4);
      continue;
    }
    for (let x = 0; x < width; x++) {
      let lane = to;
      for (let c = 0; c < channels; c++) {
        const value = load<f32>(from);
        for (let r = 0; r < repeat; r++) {
          store<f32>(lane, value);
          lane += 4;
        }
        from += 4;
      }
      to += <usize>lanes * 4;
    }
  }
}

/** The adjoint of padImage: what lies inside the border, summed over each channel's copies. */
export function cropImage(
  padded: usize,
  image: usize,
  height: i32,
  width: i32,
  channels: i32,
  repeat: i32,
  lanes: i32,
  rowStep: usize,
  firstOffset: usize,
): void {
  for (let y = 0; y < height; y++) {
    let from = padded + firstOffset + <usize>y * rowStep;
    let to = image + <usize>(y * width * channels) * 4;
    for (let x = 0; x < width; x++) {
      let lane = from;
      for (let c = 0; c < channels; c++) {
        let sum: f32 = 0;
        for (let r = 0; r < repeat; r++) {
          sum += load<f32>(lane);
          lane += 4;
        }
        store<f32>(to, sum);
        to += 4;
      }
      from += <usize>lanes * 4;
    }
  }
}

/**
 * out[tap row, run, j, o] += sum over positions of x[position + tap + j] * dy[position, o].
 * A run is a piece of a window that lies together in memory: all taps of a row without dilation, else a single tap.
 * `runLength` is a multiple of 4 (entries past the run are to be ignored), `outputs` of 8.
 */
export function filterGradient(
  x: usize,
  dy: usize,
  out: usize,
  outHeight: i32,
  outWidth: i32,
  tapRows: i32,
  runs: i32,
  runLength: i32,
  outputs: i32,
  tapRowStep: usize,
  runStep: usize,
  yStep: usize,
  xStep: usize,
): void {
  const outStep = <usize>outputs * 4;
  for (let tapRow = 0; tapRow < tapRows; tapRow++) {
    for (let run = 0; run < runs; run++) {
      const base = x + <usize>tapRow * tapRowStep + <usize>run * runStep;
      for (let o = 0; o < outputs; o += 8) {
        for (let j = 0; j < runLength; j += 4) {
          const place = out + <usize>(((tapRow * runs + run) * runLength + j) * outputs + o) * 4;
          let a0 = v128.load(place);
          let b0 = v128.load(place, 16);
          let a1 = v128.load(place + outStep);
          let b1 = v128.load(place + outStep, 16);
          let a2 = v128.load(place + 2 * outStep);
          let b2 = v128.load(place + 2 * outStep, 16);
          let a3 = v128.load(place + 3 * outStep);
          let b3 = v128.load(place + 3 * outStep, 16);
          let delta = dy + <usize>o * 4;
          for (let oy = 0; oy < outHeight; oy++) {
            let window = base + <usize>oy * yStep + <usize>j * 4;
            for (let ox = 0; ox < outWidth; ox++) {
              const d0 = v128.load(delta);
              const d1 = v128.load(delta, 16);
              const x0 = v128.load32_splat(window);
              const x1 = v128.load32_splat(window, 4);
              const x2 = v128.load32_splat(window, 8);
              const x3 = v128.load32_splat(window, 12);
              a0 = f32x4.add(a0, f32x4.mul(x0, d0));
              b0 = f32x4.add(b0, f32x4.mul(x0, d1));
              a1 = f32x4.add(a1, f32x4.mul(x1, d0));
              b1 = f32x4.add(b1, f32x4.mul(x1, d1));
              a2 = f32x4.add(a2, f32x4.mul(x2, d0));
              b2 = f32x4.add(b2, f32x4.mul(x2, d1));
              a3 = f32x4.add(a3, f32x4.mul(x3, d0));
              b3 = f32x4.add(b3, f32x4.mul(x3, d1));
              delta += outStep;
              window += xStep;
            }
          }
          v128.store(place, a0);
          v128.store(place, b0, 16);
          v128.store(place + outStep, a1);
          v128.store(place + outStep, b1, 16);
          v128.store(place + 2 * outStep, a2);
          v128.store(place + 2 * outStep, b2, 16);
          v128.store(place + 3 * outStep, a3);
          v128.store(place + 3 * outStep, b3, 16);
        }
      }
    }
  }
}

/** out[tap, lane] += sum over positions of x[position + tap, lane] * dy[position, lane]; `lanes` is a multiple of 4. */
export function depthwiseFilterGradient(
  x: usize,
  dy: usize,
  out: usize,
  outHeight: i32,
  outWidth: i32,
  tapRows: i32,
  tapCols: i32,
  lanes: i32,
  tapRowStep: usize,
  tapColStep: usize,
  yStep: usize,
  xStep: usize,
): void {
  const laneStep = <usize>lanes * 4;
  for (let tapRow = 0; tapRow < tapRows; tapRow++) {
    for (let tapCol = 0; tapCol < tapCols; tapCol++) {
      const base = x + <usize>tapRow * tapRowStep + <usize>tapCol * tapColStep;
      const place = out + <usize>(tapRow * tapCols + tapCol) * laneStep;
      let lane = 0;
      for (; lane + 16 <= lanes; lane += 16) {
        const offset = <usize>lane * 4;
        let s0 = v128.load(place + offset);
        let s1 = v128.load(place + offset, 16);
        let s2 = v128.load(place + offset, 32);
        let s3 = v128.load(place + offset, 48);
        let delta = dy + offset;
        for (let oy = 0; oy < outHeight; oy++) {
          let window = base + <usize>oy * yStep + offset;
          for (let ox = 0; ox < outWidth; ox++) {
            s0 = f32x4.add(s0, f32x4.mul(v128.load(window), v128.load(delta)));
            s1 = f32x4.add(s1, f32x4.mul(v128.load(window, 16), v128.load(delta, 16)));
            s2 = f32x4.add(s2, f32x4.mul(v128.load(window, 32), v128.load(delta, 32)));
            s3 = f32x4.add(s3, f32x4.mul(v128.load(window, 48), v128.load(delta, 48)));
            delta += laneStep;
            window += xStep;
          }
        }
        v128.store(place + offset, s0);
        v128.store(place + offset, s1, 16);
        v128.store(place + offset, s2, 32);
        v128.store(place + offset, s3, 48);
      }
      for (; lane < lanes; lane += 4) {
        const offset = <usize>lane * 4;
        let sum = v128.load(place + offset);
        let delta = dy + offset;
        for (let oy = 0; oy < outHeight; oy++) {
          let window = base + <usize>oy * yStep + offset;
          for (let ox = 0; ox < outWidth; ox++) {
            sum = f32x4.add(sum, f32x4.mul(v128.load(window), v128.load(delta)));
            delta += laneStep;
            window += xStep;
          }
        }
        v128.store(place + offset, sum);
      }
    }
  }
}

/** dx[position + tap, lane] += dy[position, lane] * filter[tap, lane]; `lanes` is a multiple of 4. */
export function depthwiseInputGradient(
  dy: usize,
  filter: usize,
  dx: usize,
  outHeight: i32,
  outWidth: i32,
  tapRows: i32,
  tapCols: i32,
  lanes: i32,
  tapRowStep: usize,
  tapColStep: usize,
  yStep: usize,
  xStep: usize,
): void {
  const laneStep = <usize>lanes * 4;
  for (let oy = 0; oy < outHeight; oy++) {
    for (let ox = 0; ox < outWidth; ox++) {
      const delta = dy + <usize>(oy * outWidth + ox) * laneStep;
      const window = dx + <usize>oy * yStep + <usize>ox * xStep;
      let weights = filter;
      for (let tapRow = 0; tapRow < tapRows; tapRow++) {
        let place = window + <usize>tapRow * tapRowStep;
        for (let tapCol = 0; tapCol < tapCols; tapCol++) {
          for (let offset: usize = 0; offset < laneStep; offset += 16) {
            const sum = f32x4.add(
              v128.load(place + offset),
              f32x4.mul(v128.load(delta + offset), v128.load(weights + offset)),
            );
            v128.store(place + offset, sum);
          }
          place += tapColStep;
          weights += laneStep;
        }
      }
    }
  }
}

/** out[ids[row], :] += x[row, :]; rows whose id is not in [0, segments) are left out. */
export function segmentSum(x: usize, ids: usize, out: usize, rows: i32, cols: i32, segments: i32): void {
  for (let row = 0; row < rows; row++) {
    const id = load<i32>(ids + <usize>row * 4);
    if (id < 0 || id >= segments) continue;
    let from = x + <usize>(row * cols) * 4;
    let to = out + <usize>(id * cols) * 4;
    const end = from + <usize>cols * 4;
    for (; from + 16 <= end; from += 16, to += 16) v128.store(to, f32x4.add(v128.load(to), v128.load(from)));
    for (; from < end; from += 4, to += 4) store<f32>(to, load<f32>(to) + load<f32>(from));
  }
}
