/** The worker's side of the messages: it holds the networks and never touches the network. */

import type { Facts } from "./facts";
import { loadNetworks, type Files } from "./networks";
import type { Why } from "./occlusion";
import type { Picture } from "./pixels";
import { Reader, type Face, type Timing } from "./reader";

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
