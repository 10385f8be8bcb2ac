/** src/METHOD.js of a format: one that works, to be replaced. */
export const format = `import { contentFault, PruneError } from "@secateur/core";

const magic = new TextEncoder().encode("NAME\\n");
/** What it stores; other types are refused rather than changed. @type {Record<string, Float32ArrayConstructor | Float64ArrayConstructor>} */
const arrays = { f32: Float32Array, f64: Float64Array };

/**
 * Tensors as JSON, their bits as hexadecimal text: replace it by your layout, and say here where it is described.
 *
 * @returns {import("@secateur/core").Format}
 */
export function METHOD() {
  return {
    // Outputs whose names end so are written in it.
    endings: ["ENDING"],
    detects,
    // The same content gives the same bytes.
    encode({ tensors, metadata = {} }) {
      const odd = contentFault({ tensors }) ?? tensors.find(({ dtype }) => !Object.hasOwn(arrays, dtype))?.dtype;
      if (odd !== undefined) throw new PruneError("ERR_FORMAT", \`ENDING cannot hold \${odd}; give f32 or f64\`);
      const list = tensors.map(({ name, dtype, shape, data }) => {
        const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
        return { name, dtype, shape, bits: Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("") };
      });
      const body = new TextEncoder().encode(JSON.stringify({ metadata, tensors: list }));
      const file = new Uint8Array(magic.length + body.length);
      file.set(magic);
      file.set(body, magic.length);
      return file;
    },
    // Bytes come from anywhere: what is no whole file ends in a PruneError that names it.
    decode(bytes, source) {
      try {
        if (!detects(bytes)) throw new Error("it does not begin as such files do");
        const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(magic.length));
        const { tensors, metadata } = JSON.parse(text);
        const content = { tensors: tensors.map(tensorOf), metadata };
        const fault = contentFault(content);
        if (fault !== undefined) throw new Error(fault);
        return content;
      } catch (cause) {
        throw new PruneError("ERR_FORMAT", \`\${source}: not a whole ENDING file; write it again\`, { cause });
      }
    },
  };
}

/** @param {Uint8Array} head */
function detects(head) {
  return magic.every((byte, i) => head[i] === byte);
}

/** @param {{ name: string, dtype: string, shape: readonly number[], bits: string }} stored */
function tensorOf({ name, dtype, shape, bits }) {
  const raw = Uint8Array.from(bits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  return { name, dtype, shape, data: new arrays[dtype](raw.buffer) };
}
`;
