/** The page: reads the camera or a photo, and shows what comes. */

import type { Facts } from "./assets";
import { Camera, cameraTrouble, grab, Pace, readPhoto } from "./camera";
import type { Why } from "./occlusion";
import { $, bindKeys, clock, download, Panel } from "./panel";
import { fromPhoto, People, type Person } from "./people";
import { Session, Timeline, type Sample } from "./session";
import { Stage } from "./stage";
import type { Engine } from "./start";
import { MOST_FOLLOWED } from "./tracker";

type State = "loading" | "ready" | "live" | "frozen" | "photo" | "broken";

/** Milliseconds between two renewals of the panel, and of the session's charts. */
const PANEL_EVERY = 80;
const SESSION_EVERY = 250;

export class Page {
  private state: State = "loading";
  private people: Person[] = [];
  private chosen: number | null = null;
  private why: Why | null = null;
  private size = { width: 640, height: 480 };
  private readonly memory: People;
  private readonly session = new Session();
  private readonly stage: Stage;
  private readonly panel: Panel;
  private readonly timeline: Timeline;
  private readonly camera: Camera;
  private readonly began = performance.now() / 1000;
  /** When the tab went to the background while the camera was read. */
  private hidden: number | null = null;
  private shown = { panel: 0, session: 0, label: "" };
  private readonly pace = new Pace();

  constructor(private readonly facts: Facts, private readonly engine: Engine) {
    this.memory = new People(facts);
    this.stage = new Stage($("frame"), $("overlay"), facts, () => this.redraw());
    this.panel = new Panel(facts, (label) => this.stage.colorOf(label));
    this.timeline = new Timeline($("timeline"), facts);
    this.camera = new Camera($("video"), (time) => this.onFrame(time), () => {
      this.enter("ready");
      this.tell("The camera went away. Plug it in and start again.");
    });
    this.panel.showFigures();
    this.bind();
    this.enter("ready");
  }

  private get seconds(): number {
    return performance.now() / 1000 - this.began;
  }

  private get person(): Person | null {
    return this.people.find(({ number }) => number === this.chosen) ?? this.people[0] ?? null;
  }

  private enter(state: State): void {
    this.state = state;
    document.body.dataset.state = state;
    $("toolbar").hidden = state === "ready";
    $("welcome").hidden = state !== "ready";
    $("speed").hidden = state !== "live";
    $("freeze").setAttribute("aria-pressed", String(state === "frozen"));
    $("camera").setAttribute("aria-pressed", String(state === "live" || state === "frozen"));
    for (const id of ["start", "choose"]) $<HTMLButtonElement>(id).disabled = false;
    $<HTMLButtonElement>("freeze").disabled = !(state === "live" || state === "frozen");
    $<HTMLButtonElement>("rest").disabled = state !== "live";
    if (state !== "frozen" && state !== "photo") this.setWhy(null);
    if (state === "ready") {
      this.people = [];
      this.stage.clear();
      this.renew(true);
    }
  }

  private tell(text: string): void {
    $("notice").textContent = text;
    $("notice").hidden = text === "";
  }

  private resize(width: number, height: number): void {
    if (width === this.size.width && height === this.size.height) return;
    this.size = { width, height };
    $("frame").style.setProperty("--ratio", String(width / height));
  }

  // --- camera

  private async startCamera(id?: string): Promise<void> {
    this.tell("");
    try {
      await this.camera.start(id);
    } catch (error) {
      if (!this.camera.running) this.enter("ready");
      return this.tell(cameraTrouble(error));
    }
    await this.engine.ask({ kind: "reset" }, "done");
    this.stage.mirrored = $("mirror").getAttribute("aria-pressed") === "true";
    this.enter("live");
    await this.listCameras();
  }

  private stopCamera(): void {
    this.camera.stop();
    this.enter("ready");
  }

  private async listCameras(): Promise<void> {
    const cameras = await this.camera.list();
    const box = $<HTMLSelectElement>("devices");
    box.hidden = cameras.length < 2;
    box.replaceChildren(...cameras.map(({ deviceId, label }, k) => new Option(label || `Camera ${k + 1}`, deviceId)));
    box.value = this.camera.device ?? "";
  }

  private async onFrame(now: number): Promise<void> {
    if (this.state !== "live" || document.hidden) return;
    const video = this.camera.video;
    if (!video.videoWidth) return;
    const start = performance.now();
    try {
      const bitmap = await grab(video);
      const time = this.pace.tick(now);
      const answer = await this.engine.ask({ kind: "frame", bitmap, time }, "faces", [bitmap]);
      if (this.state !== "live") return;
      this.people = this.memory.update(answer.faces, time);
      this.session.add(this.people, this.seconds);
      this.pace.measure(performance.now() - start, answer.timing);
      // after this the worker gets the next frame, and reads it while this one is drawn
      requestAnimationFrame(() => {
        if (this.state !== "live") return;
        this.resize(answer.width, answer.height);
        this.redraw();
        this.renew();
      });
    } catch (error) {
      this.breakDown(error);
    }
  }

  /** In the background nothing is read: browsers show no frames there, and nobody looks. */
  private onVisibility(): void {
    if (document.hidden) return void (this.hidden = this.state === "live" ? this.seconds : null);
    if (this.hidden === null) return;
    const now = this.seconds;
    this.session.pause(this.hidden, now);
    const text = `Paused for ${clock(now - this.hidden)} min while this tab was in the background; the chart shows the gap.`;
    this.hidden = null;
    this.renew(true);
    if (this.state !== "live") return; // what happened meanwhile has been told
    this.tell(text);
    setTimeout(() => $("notice").textContent === text && this.tell(""), 8000);
  }

  private async freeze(): Promise<void> {
    if (this.state === "frozen") return this.enter("live");
    if (this.state !== "live") return;
    this.enter("frozen");
    await this.readStill(await createImageBitmap(this.camera.video), true);
  }

  // --- photos

  private async openPhoto(file: File): Promise<void> {
    this.tell("");
    await this.busy(async () => {
      const bitmap = await readPhoto(file, file.name || "The pasted picture", this.facts).catch((error: Error) => this.tell(error.message));
      if (!bitmap) return;
      this.camera.stop();
      this.stage.mirrored = false;
      this.people = [];
      this.setWhy(null);
      this.enter("photo");
      await this.readStill(bitmap, false);
    });
  }

  /** Show a still picture and read it: a frozen frame of the camera, or a photo. */
  private readStill(bitmap: ImageBitmap, frozen: boolean): Promise<void> {
    const { width, height } = bitmap;
    const canvas = $<HTMLCanvasElement>("picture");
    const shrink = Math.min(1, 2048 / Math.max(width, height));
    [canvas.width, canvas.height] = [Math.max(1, Math.round(width * shrink)), Math.max(1, Math.round(height * shrink))];
    canvas.getContext("2d")!.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    this.resize(width, height);
    const time = frozen ? this.pace.tick(performance.now() / 1000) : 0;
    const order = frozen ? { kind: "frame" as const, bitmap, time } : { kind: "photo" as const, bitmap };
    return this.busy(async () => {
      const { faces } = await this.engine.ask(order, "faces", [bitmap]);
      this.people = fromPhoto(faces, this.facts); // as it is: the reasons start from this very picture's scores
      if (!frozen) this.chosen = faces[0]?.person ?? null;
      this.stage.draw([], width, height, null, null);
      this.redraw();
      this.renew(true);
      if (!frozen && faces.length === 0) this.tell("No face was found in this photo. Faces must be at least about 30 pixels wide and look roughly at the camera.");
    });
  }

  private async explain(): Promise<void> {
    if (this.why) return this.setWhy(null);
    if (this.state === "live") await this.freeze();
    const person = this.person;
    if (person === null || (this.state !== "frozen" && this.state !== "photo")) return;
    await this.busy(async () => this.setWhy((await this.engine.ask({ kind: "why", person: person.number }, "why")).why));
  }

  /** Do something that takes a while, with the moving line at the top of the page. */
  private async busy(work: () => Promise<void>): Promise<void> {
    document.body.dataset.busy = "true";
    try {
      await work();
    } catch (error) {
      this.breakDown(error);
    } finally {
      delete document.body.dataset.busy;
    }
  }

  private setWhy(why: Why | null): void {
    this.why = why;
    this.panel.showWhy(why);
    $("why").setAttribute("aria-pressed", String(why !== null));
    if (this.people.length) this.redraw();
  }

  // --- what is shown

  private redraw(): void {
    if (this.people.length && this.person) this.chosen = this.person.number;
    this.stage.draw(this.people, this.size.width, this.size.height, this.chosen, this.why);
  }

  private renew(now = false): void {
    const time = performance.now();
    if (now || time - this.shown.panel > PANEL_EVERY) {
      this.shown.panel = time;
      const more = this.people.length >= MOST_FOLLOWED ? ` · the ${MOST_FOLLOWED} largest faces are read` : "";
      this.panel.show(this.person, this.waiting(), this.state === "photo" ? "" : more);
      this.panel.showPeople(this.people, this.chosen, (number) => this.choose(number));
      this.showResting();
      this.speak();
    }
    if (now || time - this.shown.session > SESSION_EVERY) {
      this.shown.session = time;
      this.panel.showActions(this.person);
      this.panel.showPace(this.pace, this.camera.dropped);
      this.timeline.draw(this.line(), this.session.pauses, this.seconds);
      this.panel.showSession(this.session);
    }
  }

  /** The samples of the person in the panel, or of whoever was read last. */
  private line(): Sample[] {
    const last = this.session.samples.at(-1)?.person ?? 0;
    const live = this.state === "live" || this.state === "frozen";
    return this.session.lineOf(live ? (this.person?.number ?? last) : last);
  }

  private waiting(): string {
    if (this.state === "live") return "No face is in sight. Come closer, or turn on a light.";
    return "Scores appear as soon as a face is in the picture.";
  }

  private showResting(): void {
    const progress = this.person && this.state === "live" ? this.memory.baselineProgress(this.person.number, this.pace.seconds) : null;
    $("resting").hidden = progress === null;
    if (progress !== null) $("resting").style.setProperty("--progress", String(progress));
  }

  /** Tell screen readers of changes that lasted, and of nothing faster. */
  private speak(): void {
    const event = this.session.events().at(-1);
    const text = event && this.state === "live" ? `${event.label}, since ${clock(event.from)}` : "";
    if (text && text !== this.shown.label) $("spoken").textContent = this.shown.label = text;
  }

  private choose(number: number): void {
    this.chosen = number;
    this.setWhy(null);
    this.redraw();
    this.renew(true);
  }

  private step(by: number): void {
    const numbers = this.people.map((person) => person.number).sort((a, b) => a - b);
    if (numbers.length === 0) return;
    const place = numbers.indexOf(this.person!.number);
    this.choose(numbers[(place + by + numbers.length) % numbers.length]!);
  }

  private breakDown(error: unknown): void {
    this.camera.stop();
    this.enter("ready");
    this.tell(`The reading stopped: ${error instanceof Error ? error.message : String(error)}. Start again, or reload the page.`);
  }

  // --- what the visitor does

  private bind(): void {
    const press = (id: string) => {
      const on = $(id).getAttribute("aria-pressed") !== "true";
      $(id).setAttribute("aria-pressed", String(on));
      return on;
    };
    const toggleCamera = () => (this.camera.running ? this.stopCamera() : void this.startCamera());
    const commands: Record<string, () => unknown> = {
      start: () => this.startCamera(),
      camera: toggleCamera,
      choose: () => $("file").click(),
      photo: () => $("file").click(),
      freeze: () => this.freeze(),
      why: () => this.explain(),
      rest: () => this.person && this.memory.startBaseline(this.person.number),
      unrest: () => this.person && this.memory.clearBaseline(this.person.number),
      mirror: () => { this.stage.mirrored = press("mirror"); this.redraw(); },
      outlines: () => { this.stage.outlines = press("outlines"); this.redraw(); },
      full: () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen()),
      csv: () => download(new Blob([this.session.toCsv(this.facts)], { type: "text/csv" }), "gimefive-session.csv"),
      png: () => this.savePng(),
      clear: () => { this.session.clear(); this.renew(true); },
      help: () => $<HTMLDialogElement>("keys").showModal(),
      previous: () => this.step(-1),
      next: () => this.step(1),
    };
    bindKeys(commands);
    $("overlay").addEventListener("click", (event) => {
      const hit = this.stage.personAt(this.people, event, this.size.width, this.size.height);
      if (hit !== null) this.choose(hit);
    });
    $<HTMLSelectElement>("devices").addEventListener("change", (event) => void this.startCamera((event.target as HTMLSelectElement).value));
    navigator.mediaDevices?.addEventListener("devicechange", () => void this.listCameras());
    document.addEventListener("visibilitychange", () => this.onVisibility());
    window.addEventListener("resize", () => this.renew(true));
    this.bindFiles();
  }

  private bindFiles(): void {
    const input = $<HTMLInputElement>("file");
    const open = (file: File | null | undefined) => file && void this.openPhoto(file);
    input.addEventListener("change", () => { open(input.files?.[0]); input.value = ""; });
    window.addEventListener("paste", (event) => open(event.clipboardData?.files[0]));
    window.addEventListener("dragover", (event) => event.preventDefault());
    window.addEventListener("drop", (event) => { event.preventDefault(); open(event.dataTransfer?.files[0]); });
  }

  private async savePng(): Promise<void> {
    const blob = await this.timeline.toPng(this.line(), this.session.pauses, `What a network read in a face, ${clock(this.session.summary().seconds)} min`);
    if (blob) download(blob, "gimefive-session.png");
  }
}

