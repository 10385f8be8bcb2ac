// The largest entry of every window of every channel, and where it is. Images are NHWC.

/** A unit is one row of outputs, (n, oy). Ties go to the first position, a NaN wins over everything; `taken` counts entries of the images. */
export function maxWindows<T>(
  begin: u32, end: u32, images: usize, out: usize, taken: usize, height: i32, width: i32, channels: u32,
  kernelHeight: i32, kernelWidth: i32, stride: i32, padding: i32, dilation: i32, outHeight: i32, outWidth: i32,
): void {
  const pixel = <usize>channels * sizeof<T>();
  let place = <usize>begin * outWidth * channels;
  for (let unit = begin; unit < end; unit++) {
    const n = <i32>unit / outHeight;
    const top = <i32>unit % outHeight * stride - padding;
    for (let ox = 0; ox < outWidth; ox++) {
      const left = ox * stride - padding;
      // Nothing taken yet: nothing inside the image leaves 0.
      for (let c: u32 = 0; c < channels; c++) {
        store<T>(out + (place + c) * sizeof<T>(), <T>0);
        store<u32>(taken + (place + c) * 4, 0xffffffff);
      }
      for (let ky = 0; ky < kernelHeight; ky++) {
        const y = top + ky * dilation;
        if (y < 0 || y >= height) continue;
        for (let kx = 0; kx < kernelWidth; kx++) {
          const x = left + kx * dilation;
          if (x < 0 || x >= width) continue;
          const at = (n * height + y) * width + x;
          const from = images + <usize>at * pixel;
          for (let c: u32 = 0; c < channels; c++) {
            const value = load<T>(from + c * sizeof<T>());
            const best = out + (place + c) * sizeof<T>(), index = taken + (place + c) * 4;
            if (load<u32>(index) != 0xffffffff && !(value > load<T>(best) || (value != value && load<T>(best) == load<T>(best)))) continue;
            store<T>(best, value);
            store<u32>(index, <u32>at * channels + c);
          }
        }
      }
      place += channels;
    }
  }
}
