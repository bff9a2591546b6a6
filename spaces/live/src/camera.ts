/** The visitor's camera: started, chosen, watched for its end, and its newest frame whenever the one before has been read. */

const ASKED: MediaTrackConstraints = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };

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

/** The picture that a video shows now; a `VideoFrame` where the browser has it, which copies no pixels. */
export function grab(video: HTMLVideoElement): Promise<ImageBitmap> | VideoFrame {
  return typeof VideoFrame === "function" ? new VideoFrame(video) : createImageBitmap(video);
}
