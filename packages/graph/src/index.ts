/**
 * @secateur/graph: graphs of tensor operators, as ONNX models have them, run forward and differentiated.
 * @packageDocumentation
 */

export type { ChannelGroup, FrozenAxis, GroupMember } from "./channels/channel-groups.ts";
export { channelGroups } from "./channels/channel-groups.ts";
export { compareGraphs, type GraphDifference } from "./channels/compare-graphs.ts";
export { type CutGraph, cutGraph, cuttableChannels } from "./channels/cut-graph.ts";
export { isZero, maskChannels } from "./channels/mask-channels.ts";
export { type ChannelSpec, type TracedGraph, traceChannels } from "./channels/trace-channels.ts";
export type { Attribute, GraphSpec, GraphTensor, NodeSpec, TensorData, ValueSpec } from "./graph-spec.ts";
export type { ChannelStatistics } from "./model/channel-statistics.ts";
export { withExamplesAt, withExamplesFirst } from "./model/example-order.ts";
export { type FixedInputs, fixedTensors } from "./model/fixed-inputs.ts";
export { assertKnownOperators, createGraphModel, type GraphModel, type GraphStatistics } from "./model/graph-model.ts";
export { createGraphRetrainer, type GraphRetrainerOptions } from "./model/graph-retrainer.ts";
export type { OpenGraphSpec, OutputEnding } from "./model/graph-state.ts";
export type { Applied, Call, Layout, Operator, Question, WeightGradient, WeightSink, WeightUse } from "./operator.ts";
export { findOperator, operators } from "./operators/registry.ts";
export { foldGraph } from "./plan/fold-graph.ts";
export { type DenseTensor, findParams, type GraphParam, toStored, type WeightOrder } from "./plan/params.ts";
export { type Plan, type PlanSpec, planGraph, type Step } from "./plan/plan.ts";
export { runGraph } from "./run/run-graph.ts";
export type { RunSpec } from "./run/steps.ts";
export { recordGraph, type Tape } from "./run/tape.ts";
export { type Kind, kindOfDtype, type Numbers, type Shape, type Value, type ValueType } from "./value.ts";
