/** The four networks in WebAssembly: MediaPipe's two by LiteRT, O-Net and the expressions by ONNX Runtime, on one thread. */

import { loadAndCompile, loadLiteRt, Tensor, type CompiledModel } from "@litertjs/core";
import * as ort from "onnxruntime-web/wasm";
import type { FaceNetwork } from "./detector";
import type { Facts } from "./facts";

/** The files by name, as `assets.ts` loads them. */
export type Files = Record<
  "litert.wasm" | "onnxruntime.wasm" | "detector.tflite" | "mesh.tflite" | "onet.onnx" | "expressions.onnx", ArrayBuffer
>;

export interface Networks {
  detector: FaceNetwork;
  mesh: FaceNetwork;
  /** O-Net's input (2, side, side, 3) → likelihood of a face, 2 values. */
  onet: (values: Float32Array) => Promise<number[]>;
  /** Pixel values (n, 3, size, size) → logits, n rows; they are divided by the model's temperature already. */
  expressions: (values: Float32Array[]) => Promise<number[][]>;
}

export async function loadNetworks(files: Files, facts: Facts): Promise<Networks> {
  await startLiteRt(files["litert.wasm"]);
  const detector = await faceNetwork(files["detector.tflite"], facts.detector.side, ["classificators", "regressors"]);
  const mesh = await faceNetwork(files["mesh.tflite"], facts.mesh.side, ["conv2d_21", "conv2d_31"]);
  startOnnxRuntime(files["onnxruntime.wasm"]);
  const onet = await likelihoodNetwork(files["onet.onnx"], facts.onet.side);
  const expressions = await expressionNetwork(files["expressions.onnx"], facts);
  return { detector, mesh, onet, expressions };
}

async function startLiteRt(wasm: ArrayBuffer): Promise<void> {
  // Its loader script stands at the head of this worker's own source, for the page allows no connection any more:
  // what LiteRT asks for by address is there already.
  const scope = self as unknown as { Module: object; importScripts: (address: string) => void };
  scope.Module = { wasmBinary: wasm };
  scope.importScripts = () => undefined;
  await loadLiteRt("litert.js");
}

async function faceNetwork(file: ArrayBuffer, side: number, outputs: string[]): Promise<FaceNetwork> {
  const model: CompiledModel = await loadAndCompile(new Uint8Array(file), { accelerator: "wasm" });
  const places = outputs.map((name) => model.getOutputDetails().findIndex((detail) => detail.name === name));
  if (places.includes(-1)) throw new Error(`a face network lacks one of its outputs ${outputs.join(", ")}`);
  return async (pixels) => {
    const input = new Tensor(pixels, [1, side, side, 3]);
    const tensors = await model.run([input]);
    const values = places.map((place) => (tensors[place]!.toTypedArray() as Float32Array).slice());
    for (const tensor of [input, ...tensors]) tensor.delete();
    return values;
  };
}

function startOnnxRuntime(wasm: ArrayBuffer): void {
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = wasm;
  ort.env.logLevel = "error";
}

async function likelihoodNetwork(model: ArrayBuffer, side: number): Promise<Networks["onet"]> {
  const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
  return async (values) => {
    const { softmax_2: shares } = await session.run({ input_3: new ort.Tensor("float32", values, [2, side, side, 3]) }, ["softmax_2"]);
    const data = shares!.data as Float32Array;
    return [data[1]!, data[3]!];
  };
}

async function expressionNetwork(model: ArrayBuffer, facts: Facts): Promise<Networks["expressions"]> {
  const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
  const [size, classes] = [facts.network.imageSize, facts.emotions.length];
  return async (values) => {
    if (values.length === 0) return [];
    const all = new Float32Array(values.length * values[0]!.length);
    values.forEach((one, k) => all.set(one, k * one.length));
    const input = new ort.Tensor("float32", all, [values.length, 3, size, size]);
    const { logits } = await session.run({ pixel_values: input }, ["logits"]);
    const data = logits!.data as Float32Array;
    return values.map((_, k) => Array.from(data.subarray(k * classes, (k + 1) * classes)));
  };
}

export function softmax(values: readonly number[]): number[] {
  const top = Math.max(...values);
  const powers = values.map((value) => Math.exp(value - top));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}
