/** IEEE 754 half precision to f32, exactly, and from f32, to the nearest (ties to even). */

/** Numbers of 16-bit patterns. */
export function fromHalf(bits: Uint16Array, out: Float32Array): void {
  for (let i = 0; i < bits.length; i++) {
    const h = bits[i]!;
    const exponent = (h >>> 10) & 31;
    const fraction = h & 1023;
    const size =
      exponent === 0
        ? fraction * 2 ** -24
        : exponent === 31
          ? fraction
            ? Number.NaN
            : Number.POSITIVE_INFINITY
          : (1024 + fraction) * 2 ** (exponent - 25);
    out[i] = h & 0x8000 ? -size : size;
  }
}
