/** All operators by domain and name. */
import type { Operator } from "../operator.ts";
import { binaryOperators, comparisonOperators } from "./binary.ts";
import { quantisingOperators } from "./constants/quantising.ts";
import { shapeOperators } from "./constants/shapes.ts";
import { gatheringOperators } from "./gathering.ts";
import { joiningOperators } from "./joining.ts";
import { movingOperators } from "./moving/moving.ts";
import { reshapingOperators } from "./moving/reshaping.ts";
import { multiplyingOperators } from "./multiplying.ts";
import { normalisingOperators } from "./normalising.ts";
import { reducingOperators } from "./reducing.ts";
import { resizingOperators } from "./resizing.ts";
import { softmaxOperators } from "./softmax.ts";
import { roundingOperators, unaryOperators } from "./unary.ts";
import { conv } from "./windows/convolution.ts";
import { poolingOperators } from "./windows/pooling.ts";
import { convTranspose } from "./windows/transposed-convolution.ts";

/** Every operator, family by family. */
export const operators: readonly Operator[] = [
  conv,
  convTranspose,
  ...multiplyingOperators,
  ...binaryOperators,
  ...unaryOperators,
  ...softmaxOperators,
  ...normalisingOperators,
  ...poolingOperators,
  ...reducingOperators,
  ...joiningOperators,
  ...movingOperators,
  ...reshapingOperators,
  ...gatheringOperators,
  ...resizingOperators,
  ...shapeOperators,
  ...quantisingOperators,
  ...comparisonOperators,
  ...roundingOperators,
];

const byName: ReadonlyMap<string, Operator> = new Map(operators.map((operator) => [operator.name, operator]));

/** The operator of a node, or undefined where it is not known. `If` and `Constant` are none: they go when a graph is opened. */
export function findOperator({ op, domain }: { readonly op: string; readonly domain: string }): Operator | undefined {
  if (domain === "") return byName.get(op);
  // ONNX Runtime's own domain has these under the same names and rules as ONNX got them later.
  return domain === "com.microsoft" && op === "Gelu" ? byName.get("Gelu") : undefined;
}
