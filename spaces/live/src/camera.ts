/** Pictures that come in: the camera's newest frame whenever the one before has been read, and photos. */

import type { Facts } from "./assets";

const ASKED: MediaTrackConstraints = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };

/** Seconds between two frames above which the time between counts no more: nobody was seen to leave in it. */
const LONGEST_STEP = 0.5;

/** What to tell a visitor whose camera could not be opened. */
export function cameraTrouble(error: unknown): string {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError") {
    return "The camera may not be used: permission was refused. Allow it in the address bar and start again, or choose a photo.";
  }
  if (name === "NotFoundError" || name === "OverconstrainedError") return "No camera was found. Plug one in and start again, or choose a photo.";
  if (name === "NotReadableError" || name === "AbortError") return "The camera is there but gives no picture; perhaps another program uses it. Close that one and start again.";
  if (!navigator.mediaDevices) return "This browser gives cameras only to pages opened by https or on this machine.";
  return `The camera could not be opened (${name || String(error)}).`;
}

export class Camera {
  dropped = 0;
  private stream: MediaStream | null = null;
  private loop = 0;
  /** A frame is shown that nobody has read; one is being read. */
  private fresh = false;
  private busy = false;

  /**
   * `onFrame` is called for the newest frame with the time in seconds, never while the last call is under way; frames
   * that come meanwhile are dropped but for the last. `onEnd` is called when the camera goes away by itself.
   */
  constructor(
    readonly video: HTMLVideoElement,
    private readonly onFrame: (time: number) => Promise<void>,
    private readonly onEnd: () => void,
  ) {}

  get running(): boolean {
    return this.stream !== null;
  }

  /** The name of the camera in use. */
  get device(): string | undefined {
    return this.stream?.getVideoTracks()[0]?.getSettings().deviceId;
  }

  /** Open the camera, the one of that id if given. Throws what getUserMedia throws. */
  async start(id?: string): Promise<void> {
    if (!navigator.mediaDevices) throw new Error("no media devices");
    const video = id ? { ...ASKED, deviceId: { exact: id } } : { ...ASKED, facingMode: "user" };
    const stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
    this.stop();
    this.stream = stream;
    stream.getVideoTracks()[0]!.addEventListener("ended", () => {
      if (this.stream !== stream) return;
      this.stop();
      this.onEnd();
    });
    this.video.srcObject = stream;
    await this.video.play();
    this.watch(++this.loop);
  }

  stop(): void {
    this.loop++;
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.video.srcObject = null;
  }

  /** The cameras by name, empty until one was allowed. */
  async list(): Promise<MediaDeviceInfo[]> {
    const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    return all.filter(({ kind, deviceId }) => kind === "videoinput" && deviceId !== "");
  }

  private watch(loop: number): void {
    this.fresh = false;
    const next = () => {
      if (loop !== this.loop) return;
      if (this.fresh) this.dropped++;
      this.fresh = true;
      this.give();
      ask();
    };
    const ask = () => {
      if ("requestVideoFrameCallback" in this.video) this.video.requestVideoFrameCallback(next);
      else requestAnimationFrame(next);
    };
    ask();
  }

  /** Give the frame that is shown now, if it is a new one, as soon as the one before has been read. */
  private give(): void {
    if (this.busy || !this.fresh || this.stream === null) return;
    this.fresh = false;
    this.busy = true;
    void this.onFrame(performance.now() / 1000).finally(() => {
      this.busy = false;
      this.give();
    });
  }
}

/** Milliseconds of the stages of a frame, as the worker took them. */
type Stages = { pixels: number; faces: number; scores: number };

/** How fast frames are read: rate and times over the last two seconds, and a clock that counts no long pauses. */
export class Pace {
  /** Frames read since the page began; frames a second; milliseconds of the last frame and its stages. */
  stages = { frames: 0, fps: 0, ms: 0, pixels: 0, faces: 0, scores: 0 };
  private readonly recent: number[] = [];
  private clock = { seconds: 0, last: 0 };

  /** Seconds of the camera's frames up to `now`, in which a slow machine's long frame counts as `LONGEST_STEP` at most. */
  tick(now: number): number {
    this.clock = { seconds: this.clock.seconds + Math.min(now - this.clock.last, LONGEST_STEP), last: now };
    return this.clock.seconds;
  }

  get seconds(): number {
    return this.clock.seconds;
  }

  /** Whether enough frames were read to speak of a rate. */
  get known(): boolean {
    return this.recent.length > 5;
  }

  measure(ms: number, stages: Stages): void {
    const now = performance.now();
    this.recent.push(now);
    while (this.recent.length > 1 && now - this.recent[0]! > 2000) this.recent.shift();
    const fps = this.recent.length / Math.max((now - this.recent[0]!) / 1000, 1e-3);
    this.stages = { frames: this.stages.frames + 1, fps, ms, ...stages };
  }
}

/** The picture that a video shows now; a `VideoFrame` where the browser has it, which copies no pixels. */
export function grab(video: HTMLVideoElement): Promise<ImageBitmap> | VideoFrame {
  return typeof VideoFrame === "function" ? new VideoFrame(video) : createImageBitmap(video);
}

/** More pixels than this, and the page would need more than a gigabyte for one photo. */
const MOST_PIXELS = 40_000_000;
const MOST_BYTES = 60_000_000;

export async function readPhoto(file: Blob, name: string, facts: Facts): Promise<ImageBitmap> {
  if (file.size === 0) throw new Error(`${name} is empty.`);
  if (file.size > MOST_BYTES) throw new Error(`${name} has ${(file.size / 1e6).toFixed(0)} MB; at most ${MOST_BYTES / 1e6} can be read.`);
  // colours as they stand in the file and the upright picture, as the Python package reads them
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none", imageOrientation: "from-image" }).catch(() => null);
  if (bitmap === null) throw new Error(`${name} is not a photo that this browser can read. JPEG, PNG, WebP and AVIF are.`);
  const { width, height } = bitmap;
  const most = Math.min(MOST_PIXELS, facts.maxPixels);
  if (width * height <= most && Math.min(width, height) >= facts.minSide) return bitmap;
  bitmap.close();
  throw new Error(
    width * height > most
      ? `${name} has ${width} × ${height} pixels, which is too large; at most ${most / 1e6} million can be read.`
      : `${name} has ${width} × ${height} pixels, which is too small to show a face.`,
  );
}
