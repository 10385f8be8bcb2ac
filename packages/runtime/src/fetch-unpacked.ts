import { notFetched } from "./errors.ts";

/**
 * A `fetch` that asks for NAME.gz first and unpacks it, so that stock runtimes load compressed models from hosts that compress nothing:
 * TensorFlow.js takes it as `fetchFunc`, onnxruntime-web takes the bytes of its answer. Less than a kilobyte, and on its own.
 *
 * @param url - of the file as it is when unpacked; NAME.gz lies beside it (`secateur convert --compress` writes both). Where it does not, or
 *   a page is answered for it, the file itself is fetched.
 * @throws ERR_PACKED_FETCH where what came is no whole gzip stream; TypeError as `fetch` does
 * @example
 * const model = await tf.loadLayersModel("net/model.json", { fetchFunc: fetchUnpacked });
 * const session = await ort.InferenceSession.create(await (await fetchUnpacked("net.onnx")).arrayBuffer());
 */
export async function fetchUnpacked(url: string | URL | Request, init?: RequestInit): Promise<Response> {
  const packed = String((url as Request).url ?? url).replace(/(?=[?#]|$)/, ".gz");
  const response = await fetch(packed, init);
  if (!response.ok || response.headers.get("content-type")?.startsWith("text/html")) return await fetch(url, init);
  const bytes = await response.arrayBuffer();
  const [first, second] = new Uint8Array(bytes);
  // A host that says Content-Encoding: gzip has let the browser unpack it.
  if (first !== 0x1f || second !== 0x8b) return new Response(bytes);
  try {
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(await new Response(stream).arrayBuffer());
  } catch (cause) {
    throw notFetched(packed, "it is no whole gzip stream", cause);
  }
}
