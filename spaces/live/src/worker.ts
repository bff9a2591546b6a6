/** The worker: the networks, the path from picture to scores, and the page's orders. It never touches the network. */

import { loadAndCompile, loadLiteRt, Tensor, type CompiledModel } from "@litertjs/core";
import * as ort from "onnxruntime-web/wasm";
import type { Facts } from "./assets";
import { cropFace, flipped, pixelValues, type Picture } from "./crop";
import { FaceDetector, faceLikelihood, type Detection, type FaceNetwork } from "./detector";
import { LandmarkDetector } from "./landmarks";
import { explain, type Why } from "./occlusion";
import { softmax } from "./people";
import { FaceTracker, type Sighting } from "./tracker";

/** The files by name, as `assets.ts` loads them. */
type Files = Record<
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

async function loadNetworks(files: Files, facts: Facts): Promise<Networks> {
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

/** One face: `keypoints` as in `Detection`, `points` and `mesh` as in `Landmarks`; `scores` sum to 1, by emotion. */
export interface Face {
  person: number;
  box: [number, number, number, number];
  sure: number;
  keypoints: number[];
  scores: number[];
  points: Float32Array;
  mesh: Float32Array;
}

/** Milliseconds of the stages of one picture. */
interface Timing {
  faces: number;
  scores: number;
}

const BATCH = 8;

/** The whole path: picture → faces → crops → scores, for photos and for the frames of a camera. */
class Reader {
  private readonly landmarks: LandmarkDetector;
  private readonly detector: FaceDetector;
  private tracker: FaceTracker;
  private last: { picture: Picture; seen: Sighting[] } | null = null;

  constructor(
    private readonly facts: Facts,
    private readonly networks: Networks,
  ) {
    this.landmarks = new LandmarkDetector(facts.mesh, networks.mesh);
    const { present, likely } = facts.detector;
    const confirm = async (picture: Picture, face: Detection) =>
      (await this.landmarks.find(picture, face)).sure > present ||
      (await faceLikelihood(picture, face, facts.onet, networks.onet)) > likely;
    this.detector = new FaceDetector(facts.detector, networks.detector, confirm);
    this.tracker = new FaceTracker(facts, this.detector, this.landmarks);
  }

  /** Forget whom the camera saw. */
  reset(): void {
    this.tracker = new FaceTracker(this.facts, this.detector, this.landmarks);
    this.last = null;
  }

  /** All faces of a photo, the largest first, numbered from 1. */
  async readPhoto(picture: Picture): Promise<{ faces: Face[]; timing: Timing }> {
    const start = performance.now();
    const found = (await this.detector.detect(picture)).sort((a, b) => b.box[2] - a.box[2]);
    const seen: Sighting[] = [];
    for (const [k, detection] of found.entries()) {
      seen.push({ person: k + 1, detection, landmarks: await this.landmarks.find(picture, detection) });
    }
    return this.score(picture, seen, start, this.facts.network.flip);
  }

  /** The persons of a camera's next frame, the largest first. */
  async readFrame(picture: Picture, time: number): Promise<{ faces: Face[]; timing: Timing }> {
    const start = performance.now();
    const seen = await this.tracker.update(picture, time);
    const largest = seen.sort((a, b) => b.detection.box[2] - a.detection.box[2]);
    return this.score(picture, largest, start, false);
  }

  /** With `flip` the logits are averaged over each crop and its mirror image. */
  private async score(
    picture: Picture, seen: Sighting[], start: number, flip: boolean,
  ): Promise<{ faces: Face[]; timing: Timing }> {
    const found = performance.now();
    const scores: number[][] = [];
    for (let first = 0; first < seen.length; first += BATCH) {
      const batch = seen.slice(first, first + BATCH);
      const values = batch.map(({ detection }) => pixelValues(cropFace(picture, detection, this.facts.crop), this.facts.network));
      const logits = await this.networks.expressions(values);
      if (flip) {
        const mirrored = await this.networks.expressions(values.map((one) => flipped(one, this.facts.network.imageSize)));
        logits.forEach((row, k) => row.forEach((logit, label) => (row[label] = (logit + mirrored[k]![label]!) / 2)));
      }
      scores.push(...logits.map(softmax));
    }
    this.last = { picture, seen };
    const faces = seen.map(({ person, detection, landmarks }, k) => ({
      person, box: detection.box, sure: detection.score, keypoints: detection.keypoints, scores: scores[k]!,
      points: landmarks.points, mesh: landmarks.mesh,
    }));
    return { faces, timing: { faces: found - start, scores: performance.now() - found } };
  }

  /** Why a person of the last picture got the highest score; null if that person is not in it. */
  async why(person: number): Promise<Why | null> {
    const sighting = this.last?.seen.find((one) => one.person === person);
    if (!sighting) return null;
    const crop = cropFace(this.last!.picture, sighting.detection, this.facts.crop);
    return explain(crop, sighting.landmarks.points, this.facts, this.networks.expressions);
  }
}

export type Order =
  | { kind: "start"; facts: Facts; files: Files }
  | { kind: "photo"; bitmap: ImageBitmap }
  | { kind: "frame"; bitmap: ImageBitmap | VideoFrame; time: number }
  | { kind: "why"; person: number }
  | { kind: "reset" };

export type Answer =
  | { kind: "ready" }
  | { kind: "faces"; faces: Face[]; timing: Timing & { pixels: number }; width: number; height: number }
  | { kind: "why"; why: Why | null }
  | { kind: "done" }
  | { kind: "failed"; reason: string };

let reader: Reader | null = null;
let canvas: OffscreenCanvas | null = null;

/** The bytes of the camera's last frame, used anew for a frame of the same size. */
let bytes: Uint8Array<ArrayBuffer> = new Uint8Array(0);

async function pixelsOf(source: ImageBitmap | VideoFrame): Promise<Picture> {
  try {
    return (source instanceof ImageBitmap ? null : await copied(source)) ?? drawn(source);
  } finally {
    source.close();
  }
}

/** A frame's own pixels, without a canvas between; null where the browser cannot, or for a frame that must be turned. */
async function copied(frame: VideoFrame): Promise<Picture | null> {
  const { displayWidth: width, displayHeight: height, visibleRect } = frame;
  const { rotation = 0, flip = false } = frame as { rotation?: number; flip?: boolean };
  if (rotation !== 0 || flip || visibleRect?.width !== width || visibleRect.height !== height) return null;
  if (bytes.length !== 4 * width * height) bytes = new Uint8Array(4 * width * height);
  try {
    const [layout] = await frame.copyTo(bytes, { format: "RGBA" } as VideoFrameCopyToOptions);
    return layout!.stride === 4 * width ? { data: bytes, width, height } : null;
  } catch (error) {
    if (error instanceof DOMException) return null;
    throw error;
  }
}

function drawn(source: ImageBitmap | VideoFrame): Picture {
  const [width, height] = source instanceof ImageBitmap ? [source.width, source.height] : [source.displayWidth, source.displayHeight];
  if (canvas?.width !== width || canvas.height !== height) canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  context.fillStyle = "#fff"; // what shows through is white, as `load_image` has it
  context.fillRect(0, 0, width, height);
  context.drawImage(source, 0, 0);
  return { data: context.getImageData(0, 0, width, height).data, width, height };
}

async function obey(order: Order): Promise<Answer> {
  if (order.kind === "start") {
    reader = new Reader(order.facts, await loadNetworks(order.files, order.facts));
    // the first pass compiles; nobody should wait for it with a face before the camera
    await reader.readPhoto({ data: new Uint8Array(4 * 128 * 128), width: 128, height: 128 });
    return { kind: "ready" };
  }
  if (reader === null) throw new Error("the networks are not loaded");
  if (order.kind === "why") return { kind: "why", why: await reader.why(order.person) };
  if (order.kind === "reset") {
    reader.reset();
    return { kind: "done" };
  }
  const start = performance.now();
  const picture = await pixelsOf(order.bitmap);
  const pixels = performance.now() - start;
  const result = order.kind === "photo" ? await reader.readPhoto(picture) : await reader.readFrame(picture, order.time);
  const timing = { ...result.timing, pixels };
  return { kind: "faces", faces: result.faces, timing, width: picture.width, height: picture.height };
}

// one at a time, for the networks hold the state of one pass: the page sends an order when the one before is answered
self.onmessage = async ({ data }: MessageEvent<Order>) => {
  try {
    self.postMessage(await obey(data));
  } catch (error) {
    self.postMessage({ kind: "failed", reason: error instanceof Error ? error.message : String(error) } satisfies Answer);
  }
};
