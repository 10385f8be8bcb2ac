import type { Tensors } from "./tensor.ts";

/**
 * A hash over the numbers of all tensors as words of 32 bits or less: 64 bits in hexadecimal. As FNV-1a, with what is above shifted down
 * before each product: floats of few digits end in zeros, and products carry upwards only.
 */
export function hashTensors(tensors: Tensors): string {
  let [low, high] = [0x811c9dc5, 0x01000193];
  for (const { data } of Object.values(tensors)) {
    const words =
      data.BYTES_PER_ELEMENT < 4 ? data : new Uint32Array(data.buffer, data.byteOffset, data.byteLength / 4);
    for (let i = 0; i < words.length; i++) {
      const word = words[i] as number;
      low = mixed(low ^ word, 0x85ebca6b);
      high = mixed(high ^ Math.imul(word, 0x9e3779b1), 0xc2b2ae35);
    }
  }
  return [low, high].map((part) => (part >>> 0).toString(16).padStart(8, "0")).join("");
}

/** Two steps of MurmurHash3's finish, which let every bit of a word reach every bit of the result. */
function mixed(word: number, factor: number): number {
  const once = Math.imul(word ^ (word >>> 16), factor);
  return once ^ (once >>> 13);
}
