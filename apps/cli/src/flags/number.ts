/** Numbers from flags: parsers for commander that refuse everything but the numbers allowed. */
import { isDecimal } from "@secateur/run";
import { badFlagValue } from "../errors.ts";

/**
 * A parser for a numeric flag.
 *
 * @param spec.flag - for the message, for example "--sparsity"
 * @param spec.allowed - what is allowed, in words
 * @param spec.accepts - whether a number is allowed; default: every finite one
 * @returns a function that throws ERR_USAGE for other text
 */
export function numberParser(spec: {
  flag: string;
  allowed: string;
  accepts?: (value: number) => boolean;
}): (text: string) => number {
  const { flag, allowed, accepts = Number.isFinite } = spec;
  return (text) => {
    const value = isDecimal(text) ? Number(text) : Number.NaN;
    if (Number.isNaN(value) || !accepts(value)) throw badFlagValue({ flag, found: text, allowed });
    return value;
  };
}

/** A parser for whole numbers from `least` up, to `most` where that is given. */
export function wholeParser(flag: string, least: number, most?: number): (text: string) => number {
  return numberParser({
    flag,
    allowed: most === undefined ? `a whole number of at least ${least}` : `a whole number from ${least} to ${most}`,
    accepts: (value) => Number.isSafeInteger(value) && value >= least && value <= (most ?? value),
  });
}

/** A parser for a number of epochs: the largest takes longer than anybody waits, and is a slip. */
export function epochsParser(flag: string, least: number): (text: string) => number {
  return wholeParser(flag, least, 1_000_000);
}
