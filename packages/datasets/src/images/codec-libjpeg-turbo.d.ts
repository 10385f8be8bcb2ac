/** The part of the codec that is used: its package has no types of its own. */
declare module "@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasmjs" {
  interface JpegDecoder {
    /** Room for the file, in the codec's memory. */
    getEncodedBuffer(length: number): Uint8Array;
    /** Throws a number, the address of an exception, for damaged files. */
    decode(): void;
    getFrameInfo(): { width: number; height: number; componentCount: number };
    /** Interleaved bytes, a view of the codec's memory. */
    getDecodedBuffer(): Uint8Array;
    delete(): void;
  }
  interface Codec {
    /** All of its memory. */
    readonly HEAPU8: Uint8Array;
    JPEGDecoder: new () => JpegDecoder;
  }
  export default function load(options: { print(text: string): void; printErr(text: string): void }): Promise<Codec>;
}
