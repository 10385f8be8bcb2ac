const reals = new Float32Array(1);
const bits = new Uint32Array(reals.buffer);

/** The half-precision pattern nearest to a number, ties to even; beyond 65504 the largest finite one, so that no weight becomes infinite. */
export function toHalf(value: number): number {
  reals[0] = value;
  const word = bits[0]!;
  const sign = (word >>> 16) & 0x8000;
  const size = Math.abs(value);
  if (size >= 65504) return sign | 0x7bff;
  if (size < 2 ** -14) return sign | roundEven(size * 2 ** 24);
  const exponent = (word >>> 23) & 255;
  const fraction = word & 0x7fffff;
  // A fraction that rounds up to 1024 carries into the exponent, as it should.
  return sign | (((exponent - 112) << 10) + roundEven(fraction / 8192));
}

function roundEven(value: number): number {
  const down = Math.floor(value);
  const rest = value - down;
  return rest > 0.5 || (rest === 0.5 && down % 2 === 1) ? down + 1 : down;
}
