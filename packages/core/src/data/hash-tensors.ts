import type { Tensors } from "./tensor.ts";

/** FNV-1a over the numbers of all tensors as words of 32 bits or less, twice with different starts: 64 bits in hexadecimal. */
export function hashTensors(tensors: Tensors): string {
  let [low, high] = [0x811c9dc5, 0x01000193];
  for (const { data } of Object.values(tensors)) {
    const words =
      data.BYTES_PER_ELEMENT < 4 ? data : new Uint32Array(data.buffer, data.byteOffset, data.byteLength / 4);
    for (let i = 0; i < words.length; i++) {
      const word = words[i] as number;
      low = Math.imul(low ^ word, 0x01000193);
      high = Math.imul(high ^ word ^ (low >>> 7), 0x01000193);
    }
  }
  return [low, high].map((part) => (part >>> 0).toString(16).padStart(8, "0")).join("");
}
