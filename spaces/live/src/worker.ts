/** The worker's side of the messages: it holds the networks and never touches the network. */

import type { Facts } from "./facts";
import { loadNetworks, type Files } from "./networks";
import type { Why } from "./occlusion";
import type { Picture } from "./pixels";
import { Reader, type Face, type Timing } from "./reader";

export type Order =
  | { kind: "start"; facts: Facts; files: Files }
  | { kind: "photo"; bitmap: ImageBitmap }
  | { kind: "frame"; bitmap: ImageBitmap; time: number }
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

function pixelsOf(bitmap: ImageBitmap): Picture {
  const { width, height } = bitmap;
  if (canvas?.width !== width || canvas.height !== height) canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  context.fillStyle = "#fff"; // what shows through is white, as `load_image` has it
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
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
  const picture = pixelsOf(order.bitmap);
  const pixels = performance.now() - start;
  const result = order.kind === "photo" ? await reader.readPhoto(picture) : await reader.readFrame(picture, order.time);
  const timing = { ...result.timing, pixels };
  return { kind: "faces", faces: result.faces, timing, width: picture.width, height: picture.height };
}

// one at a time, in order: the networks hold the state of one pass
let last: Promise<void> = Promise.resolve();

self.onmessage = ({ data }: MessageEvent<Order>) => {
  last = last.then(async () => {
    try {
      self.postMessage(await obey(data));
    } catch (error) {
      self.postMessage({ kind: "failed", reason: error instanceof Error ? error.message : String(error) } satisfies Answer);
    }
  });
};
