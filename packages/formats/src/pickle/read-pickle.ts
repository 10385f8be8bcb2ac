/**
 * Reads Python pickles as inert data. Why a reader of our own: the pickle parsers on npm (pickleparser, jpickle) resolve
 * and construct what a pickle names, set properties by keys from the file, spread unbounded argument lists, and do not
 * check the stack, the memo or lengths; and none hands on where the pickle ended, which the older PyTorch layout needs.
 */
import { pickleFault, pickleMachine, pop } from "./pickle-machine.ts";
import { PICKLE_STEPS } from "./pickle-opcodes.ts";
import type { PickleGlobal, PickleReference, PickleValue } from "./pickle-value.ts";

/** What a pickle describes. */
export interface Pickle {
  readonly value: PickleValue;
  /** every name it would import, in order, also those that `value` does not use */
  readonly globals: readonly PickleGlobal[];
  /** every reference to something outside the pickle, in order */
  readonly references: readonly PickleReference[];
  /** index of the first byte after it */
  readonly end: number;
  /** its length */
  readonly bytes: number;
}

const STOP = 0x2e;

/**
 * Reads one pickle of protocol 0 to 5. Nothing is imported, called or executed. O(length) time; at most 2^22 values.
 *
 * @param bytes - the pickle, and whatever follows it
 * @param start - index of its first byte
 * @param source - name of the file, for messages
 * @throws ERR_PYTORCH when it is truncated, damaged or needs more values than that
 */
export function readPickle(bytes: Uint8Array, start: number, source: string): Pickle {
  const machine = pickleMachine(bytes, start, source);
  for (;;) {
    const code = bytes[machine.at];
    if (code === undefined) throw pickleFault(machine, "the end of the data", "a whole pickle (truncated)");
    machine.at++;
    if (code === STOP) break;
    const step = PICKLE_STEPS[String.fromCharCode(code)];
    if (step === undefined) {
      throw pickleFault(
        machine,
        `the unknown opcode 0x${code.toString(16).padStart(2, "0")}`,
        "a whole pickle (damaged)",
      );
    }
    step(machine);
  }
  const value = pop(machine);
  return {
    value,
    globals: machine.globals,
    references: machine.references,
    end: machine.at,
    bytes: machine.at - start,
  };
}
