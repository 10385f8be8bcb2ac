import { notFetched } from "./errors.ts";

/**
 * A `fetch` that asks for NAME.gz first and unpacks it, so that stock runtimes load compressed models from hosts that compress nothing:
 * TensorFlow.js takes it as `fetchFunc`, onnxruntime-web takes the bytes of its answer. Less than a kilobyte as it is sent.
 *
 * @param url - of the file as it is when unpacked; NAME.gz lies beside it (`secateur convert --compress` writes both). Where nothing compressed is
 *   answered for that, and for addresses of data: and blob:, the file itself is fetched. A Request keeps its headers and signal.
 * @throws ERR_PACKED_FETCH where what came is no whole gzip stream; what `fetch` throws for the file itself, and where it is aborted
 * @example
 * const model = await tf.loadLayersModel("net/model.json", { fetchFunc: fetchUnpacked });
 * const session = await ort.InferenceSession.create(await (await fetchUnpacked("net.onnx")).arrayBuffer());
 */
export async function fetchUnpacked(url: string | URL | Request, init?: RequestInit): Promise<Response> {
  const request = typeof url === "object" && "url" in url ? url : undefined;
  const address = request?.url ?? String(url);
  const itself = (): Promise<Response> => fetch(url, init);
  if (/^(data|blob):/i.test(address)) return await itself();
  const packed = address.replace(/(?=[?#]|$)/, ".gz");
  let response: Response;
  let bytes: ArrayBuffer;
  try {
    response = await fetch(request ? new Request(packed, request) : packed, init);
    bytes = await response.arrayBuffer();
  } catch (error) {
    // A connection that breaks or may not be made for NAME.gz says nothing of NAME.
    if ((init?.signal ?? request?.signal)?.aborted) throw error;
    return await itself();
  }
  const { headers, ok } = response;
  const [first, second] = new Uint8Array(bytes);
  const isPacked = first === 0x1f && second === 0x8b;
  // A host that says Content-Encoding has let the browser unpack it, unless it answers everything with a page.
  const isUnpacked = headers.has("content-encoding") && !/^text\/html/i.test(headers.get("content-type") ?? "");
  if (!ok || !(isPacked || isUnpacked)) return await itself();
  if (!isPacked) return new Response(bytes);
  try {
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(await new Response(stream).arrayBuffer());
  } catch (cause) {
    throw notFetched(packed, "it is no whole gzip stream", cause);
  }
}
