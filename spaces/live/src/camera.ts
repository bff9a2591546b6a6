/** The visitor's camera: started, chosen, watched for its end, and its frames, of which those that come too early are dropped. */

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

  /**
   * `onFrame` is called with each new frame's time in seconds unless the last call is still under way; `onEnd` when the
   * camera goes away by itself.
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
    let busy = false;
    const next = () => {
      if (loop !== this.loop) return;
      if (busy) this.dropped++;
      else {
        busy = true;
        void this.onFrame(performance.now() / 1000).finally(() => (busy = false));
      }
      ask();
    };
    const ask = () => {
      if ("requestVideoFrameCallback" in this.video) this.video.requestVideoFrameCallback(next);
      else requestAnimationFrame(next);
    };
    ask();
  }
}
