/** What the build wrote down: facts of the Python package, and the files that the networks need, fetched and checked. */

interface Emotion {
  name: string;
  color: string;
}

/** A figure of the results store, as a share, with its interval and the number of images it was measured on. */
export interface Figure {
  value: number;
  low: number;
  high: number;
  images: number;
  classes: number;
}

export type PartName = "brows" | "eyes" | "nose" | "mouth";

export interface Facts {
  model: string;
  version: string;
  emotions: Emotion[];
  noClearEmotion: string;
  otherColor: string;
  threshold: number;
  maxPixels: number;
  minSide: number;
  network: { imageSize: number; mean: number[]; std: number[]; flip: boolean };
  crop: {
    margin: number; lift: number; least: number; boxPerEyes: number; minSide: number; maxSide: number; replicate: boolean;
  };
  detector: {
    side: number; minScore: number; tileScales: number[]; minTile: number; minSize: number;
    sure: number; present: number; likely: number; wider: number; leastFilling: number; maxIou: number; maxInside: number;
  };
  onet: { side: number; margin: number; lift: number };
  mesh: { side: number; margin: number; to68: [number, number][]; groups: Record<string, [number, number]> };
  tracker: {
    searchEvery: number; keep: number; minGiou: number; rigid: [number, number];
  };
  smoothing: { timeConstant: number; hold: number };
  regions: {
    browLift: number; eyeMargin: number; noseMargin: number; mouthMargin: number; covered: PartName[]; edge: number;
  };
  figures: {
    accuracy: Record<string, Figure>; recall: Record<string, Figure>; corrupted: Record<string, Figure[]>; corruptedOf: string;
  };
}

/** What the build wrote down. `bytes` is what travels, compressed; `sha256` is of the file as it is used. */
export interface Manifest {
  build: string;
  facts: Facts;
  files: { name: string; path: string; bytes: number; sha256: string }[];
}

type Progress = (loaded: number, total: number) => void;

// A function of one v128 constant (WebAssembly SIMD), and one with i8x16.relaxed_swizzle (relaxed SIMD).
const HEAD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10];
const SIMD = new Uint8Array([...HEAD, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11]);
const RELAXED = new Uint8Array([...HEAD, 15, 1, 13, 0, 65, 1, 253, 15, 65, 2, 253, 15, 253, 128, 2, 11]);

export async function loadManifest(): Promise<Manifest> {
  const response = await fetch("manifest.json").catch(() => null);
  if (!response?.ok) throw new Error("This page is not whole: its list of files cannot be read. Check the connection and reload.");
  return response.json() as Promise<Manifest>;
}

/** Raise what a visitor should know if this browser cannot run the networks. */
export function checkBrowser(): void {
  if (typeof WebAssembly !== "object" || !WebAssembly.validate(SIMD)) {
    throw new Error("This browser has no WebAssembly SIMD, which the networks need. Any Chrome, Edge or Firefox since 2021 has it, Safari since 16.4.");
  }
  if (typeof OffscreenCanvas === "undefined" || typeof DecompressionStream === "undefined" || !globalThis.crypto?.subtle) {
    throw new Error("This browser is too old for this page, or the page was opened without https. A current Chrome, Edge, Firefox or Safari runs it.");
  }
}

/** The files by name. LiteRT comes in two builds, of which this browser needs one, here called litert.wasm and litert.js. */
export async function loadFiles(manifest: Manifest, progress: Progress): Promise<Record<string, ArrayBuffer>> {
  const other = WebAssembly.validate(RELAXED) ? "litert-compat" : "litert-relaxed";
  const wanted = manifest.files.filter(({ name }) => !name.startsWith(other));
  const total = wanted.reduce((sum, { bytes }) => sum + bytes, 0);
  const cache = await openCache(manifest.build);
  let loaded = 0;
  const files = await Promise.all(
    wanted.map(async (file) => {
      const data = await loadFile(file, cache, (bytes) => progress((loaded += bytes), total));
      return [file.name.replace(/-(compat|relaxed)/, ""), data] as const;
    }),
  );
  progress(total, total);
  return Object.fromEntries(files);
}

/** This build's cache; those of earlier builds are deleted. Null where the browser has none, as in private windows. */
async function openCache(build: string): Promise<Cache | null> {
  try {
    const name = `gimefive-live-${build}`;
    for (const old of await caches.keys()) if (old.startsWith("gimefive-live-") && old !== name) await caches.delete(old);
    return await caches.open(name);
  } catch (error) {
    console.info("nothing is kept for offline use:", error);
    return null;
  }
}

async function loadFile(file: Manifest["files"][number], cache: Cache | null, count: (bytes: number) => void): Promise<ArrayBuffer> {
  const kept = await cache?.match(file.path);
  if (kept) {
    const data = await unpack(await kept.arrayBuffer());
    if (data !== null && (await sha256(data)) === file.sha256) {
      count(file.bytes);
      return data;
    }
    await cache!.delete(file.path);
  }
  const packed = await download(file, count);
  const data = await unpack(packed);
  if (data === null || (await sha256(data)) !== file.sha256) {
    throw new Error(`The file ${file.name} came damaged or cut (${packed.byteLength.toLocaleString("en")} bytes). Reload the page to fetch it again.`);
  }
  await cache?.put(file.path, new Response(packed)).catch((error) => console.info("not kept for offline use:", error));
  return data;
}

async function download({ name, path }: Manifest["files"][number], count: (bytes: number) => void): Promise<ArrayBuffer> {
  const response = await fetch(path).catch(() => null);
  if (!response?.ok || !response.body) {
    throw new Error(`The file ${name} could not be fetched${response ? ` (HTTP ${response.status})` : ""}. Check the connection and reload.`);
  }
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  const reader = response.body.getReader();
  try {
    for (let step = await reader.read(); !step.done; step = await reader.read()) {
      chunks.push(step.value);
      count(step.value.byteLength);
    }
  } catch {
    throw new Error(`The connection broke off while ${name} was fetched. Reload the page to go on.`);
  }
  return new Blob(chunks).arrayBuffer();
}

/** Undo gzip; a host may have done so already. Null for a file that is cut. */
async function unpack(packed: ArrayBuffer): Promise<ArrayBuffer | null> {
  const [first, second] = new Uint8Array(packed, 0, Math.min(2, packed.byteLength));
  if (first !== 0x1f || second !== 0x8b) return packed;
  try {
    return await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
  } catch {
    return null;
  }
}

async function sha256(data: ArrayBuffer): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
