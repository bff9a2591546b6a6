/** What a session leaves: samples over time, changes that lasted, a summary, a table, and the chart of the last minute. */

import type { Facts } from "./assets";
import type { Person } from "./people";

/** One person at one moment; times in seconds since the session began. */
export interface Sample {
  time: number;
  person: number;
  box: number[];
  sure: number;
  scores: number[];
  smoothed: number[];
  label: string;
  confidence: number;
  stability: number;
  baseline: boolean;
}

/** A label that a person kept for at least `LASTING` seconds; `until` grows while it lasts. */
interface Stretch {
  person: number;
  label: string;
  from: number;
  until: number;
}

/** Seconds that a label must last to be an event. */
const LASTING = 1;
/** Seconds between samples of one person, and samples that are kept at most: two hours of one person. */
const STEP = 0.1;
const MOST = 72_000;
/** Seconds of absence that end a stretch, and between two frames, after which nothing is known of the time between. */
const GAP = 1;
const LONGEST_FRAME = 5;

export class Session {
  samples: Sample[] = [];
  /** Seconds from and until which nothing was read, because the tab was in the background. */
  pauses: [from: number, until: number][] = [];
  private stretches: Stretch[] = [];
  private previous = -Infinity;
  private readonly latest = new Map<number, { sampled: number; stretch: Stretch }>();

  /** Take in everybody who is in sight at `time`. */
  add(people: Person[], time: number): void {
    for (const person of people) this.addOne(person, time);
    this.previous = time;
    if (this.samples.length > MOST) this.samples = this.samples.slice(MOST / 10);
    for (const [number, { stretch }] of this.latest) if (time - stretch.until > 60) this.latest.delete(number);
  }

  /** Nothing was read meanwhile: what was seen before has ended, and the chart shows a gap. */
  pause(from: number, until: number): void {
    if (this.samples.length) this.pauses.push([from, until]);
    this.previous = until;
  }

  private addOne(person: Person, time: number): void {
    const { number, label } = person;
    let latest = this.latest.get(number);
    if (!latest || latest.stretch.label !== label || this.wasAway(latest.stretch.until, time)) {
      const stretch = { person: number, label, from: time, until: time };
      this.stretches = this.stretches.filter((one) => one.until - one.from >= LASTING || time - one.until < GAP);
      this.stretches.push(stretch);
      latest = { sampled: latest?.sampled ?? -Infinity, stretch };
      this.latest.set(number, latest);
    }
    latest.stretch.until = time;
    if (time - latest.sampled < STEP - 1e-6) return;
    latest.sampled = time;
    const { face, smoothed, confidence, stability, baseline } = person;
    this.samples.push({
      time, person: number, box: face.box, sure: face.sure, scores: face.scores, smoothed, label, confidence,
      stability: stability ?? 1, baseline: baseline !== null,
    });
  }

  /** Whether somebody last seen at `seen` was missing in frames since, or too long for a slow machine's next frame. */
  private wasAway(seen: number, time: number): boolean {
    return time - seen > (seen < this.previous ? GAP : LONGEST_FRAME);
  }

  /** Labels that lasted, oldest first. A return to the label before a flicker goes on with its stretch. */
  events(): Stretch[] {
    const lasting: Stretch[] = [];
    for (const stretch of this.stretches.filter((one) => one.until - one.from >= LASTING)) {
      const before = lasting.findLast((one) => one.person === stretch.person);
      if (before?.label === stretch.label && stretch.from - before.until <= GAP) before.until = stretch.until;
      else lasting.push({ ...stretch });
    }
    return lasting;
  }

  /** The samples of one person, and before it came those of whoever was read then, one at a time. */
  lineOf(person: number): Sample[] {
    const start = this.samples.findIndex((sample) => sample.person === person);
    const before = this.samples.slice(0, Math.max(start, 0)).filter(({ time }, k, all) => k === 0 || time > all[k - 1]!.time);
    return [...before, ...this.samples.slice(Math.max(start, 0)).filter((sample) => sample.person === person)];
  }

  /** Seconds that each label was shown, by all persons together, and how many changes lasted. */
  summary(): { seconds: number; people: number; changes: number; shares: { label: string; share: number }[] } {
    const totals = new Map<string, number>();
    for (const { label } of this.samples) totals.set(label, (totals.get(label) ?? 0) + 1);
    const shares = [...totals].map(([label, count]) => ({ label, share: count / this.samples.length }));
    const people = new Set(this.samples.map((sample) => sample.person)).size;
    const changes = this.events().length - new Set(this.events().map((event) => event.person)).size;
    const seconds = this.samples.length ? this.samples.at(-1)!.time - this.samples[0]!.time : 0;
    return { seconds, people, changes, shares: shares.sort((a, b) => b.share - a.share) };
  }

  clear(): void {
    [this.samples, this.pauses, this.stretches, this.previous] = [[], [], [], -Infinity];
    this.latest.clear();
  }

  /** One row per sample, with the columns of the project's video timelines. */
  toCsv(facts: Facts): string {
    const names = facts.emotions.map(({ name }) => name);
    const header = [
      "time", "person", "x", "y", "width", "height", "detection_score", ...names, ...names.map((name) => `${name}_smooth`),
      "emotion", "confidence", "stability", "against_rest",
    ];
    const rows = this.samples.map((one) => [
      one.time.toFixed(3), one.person, ...one.box.map((value) => value.toFixed(1)), one.sure.toFixed(4),
      ...one.scores.map((value) => value.toFixed(4)), ...one.smoothed.map((value) => value.toFixed(4)),
      one.label, one.confidence.toFixed(4), one.stability.toFixed(4), one.baseline ? 1 : 0,
    ]);
    return [header, ...rows].map((row) => row.join(",")).join("\n") + "\n";
  }
}

/** Seconds that the chart shows. */
const SPAN = 60;
/** Seconds without a sample that break the chart. */
const BREAK = 1.5;

interface Place {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** The scores of one person as a stacked area, with the labels under it and the stability over it. */
export class Timeline {
  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly facts: Facts,
  ) {}

  /** Draw one person's samples up to `now`, in seconds of the session. */
  draw(samples: Sample[], pauses: Session["pauses"], now: number): void {
    const { clientWidth, clientHeight } = this.canvas;
    const fine = Math.min(window.devicePixelRatio || 1, 2);
    const [w, h] = [Math.round(clientWidth * fine), Math.round(clientHeight * fine)];
    if (w === 0 || h === 0) return;
    if (this.canvas.width !== w || this.canvas.height !== h) [this.canvas.width, this.canvas.height] = [w, h];
    const context = this.canvas.getContext("2d")!;
    context.setTransform(fine, 0, 0, fine, 0, 0);
    context.clearRect(0, 0, clientWidth, clientHeight);
    const ink = getComputedStyle(this.canvas).color;
    const place = { left: 0, top: 6, width: clientWidth, height: clientHeight - 24 };
    drawPauses(context, pauses, now, SPAN, place, ink);
    drawAreas(context, samples, now, SPAN, place, this.facts, ink);
  }

  /** The whole of a person's session as a picture that can be shown elsewhere. */
  toPng(samples: Sample[], pauses: Session["pauses"], title: string): Promise<Blob | null> {
    const [width, height] = [1200, 420];
    const canvas = Object.assign(document.createElement("canvas"), { width: 2 * width, height: 2 * height });
    const context = canvas.getContext("2d")!;
    context.scale(2, 2);
    context.fillStyle = "#fbfaf7";
    context.fillRect(0, 0, width, height);
    context.fillStyle = "#191a1f";
    context.font = "600 22px system-ui, sans-serif";
    context.fillText(title, 40, 48);
    this.drawLegend(context, 40, 78);
    const start = samples[0]?.time ?? 0;
    const end = Math.max(samples.at(-1)?.time ?? 1, start + 1);
    const place = { left: 40, top: 100, width: width - 80, height: 240 };
    drawPauses(context, pauses, end, end - start, place, "#191a1f");
    drawAreas(context, samples, end, end - start, place, this.facts, "#191a1f");
    context.font = "14px system-ui, sans-serif";
    context.fillStyle = "#63656e";
    context.fillText(`0 s`, 40, 384);
    context.textAlign = "right";
    context.fillText(`${(end - start).toFixed(0)} s`, width - 40, 384);
    context.textAlign = "left";
    context.fillText("Expressions as a network scores them, not feelings. GiMeFive, read in the browser.", 40, 406);
    return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  }

  private drawLegend(context: CanvasRenderingContext2D, left: number, y: number): void {
    context.font = "14px system-ui, sans-serif";
    let x = left;
    for (const { name, color } of this.facts.emotions) {
      context.fillStyle = color;
      context.beginPath();
      context.roundRect(x, y - 10, 12, 12, 3);
      context.fill();
      context.fillStyle = "#191a1f";
      context.fillText(name, x + 18, y);
      x += context.measureText(name).width + 42;
    }
  }
}

/** Fine slanted lines and a word where nothing was read. */
function drawPauses(
  context: CanvasRenderingContext2D, pauses: Session["pauses"], end: number, span: number, { left, top, width, height }: Place, ink: string,
): void {
  const x = (time: number) => left + width * Math.min(Math.max(1 - (end - time) / span, 0), 1);
  for (const [from, until] of pauses) {
    const [a, b] = [x(from), x(until)];
    if (b <= a) continue;
    context.save();
    context.beginPath();
    context.rect(a, top, b - a, height);
    context.clip();
    context.globalAlpha = 0.3;
    context.strokeStyle = context.fillStyle = ink;
    context.lineWidth = 1;
    context.beginPath();
    for (let at = a - height; at < b; at += 8) {
      context.moveTo(at, top + height);
      context.lineTo(at + height, top);
    }
    context.stroke();
    context.globalAlpha = 1;
    context.font = "12.5px system-ui, sans-serif";
    if (b - a > 60) context.fillText("paused", a + 8, top + 16);
    context.restore();
  }
}

function drawAreas(
  context: CanvasRenderingContext2D, samples: Sample[], end: number, span: number, place: Place, facts: Facts, ink: string,
): void {
  const { left, top, width, height } = place;
  const x = (time: number) => left + width * (1 - (end - time) / span);
  context.save();
  context.beginPath();
  context.rect(left, top - 4, width, height + 24);
  context.clip();
  for (const run of runs(samples.filter(({ time }) => time >= end - span - 1))) {
    const sums = run.map(() => 0);
    facts.emotions.forEach(({ color }, k) => {
      context.fillStyle = color;
      context.beginPath();
      run.forEach(({ time }, i) => context.lineTo(x(time), top + height * (1 - sums[i]!)));
      run.forEach(({ smoothed }, i) => (sums[i] = sums[i]! + smoothed[k]!));
      for (let i = run.length - 1; i >= 0; i--) context.lineTo(x(run[i]!.time), top + height * (1 - sums[i]!));
      context.fill();
    });
    context.strokeStyle = ink;
    context.lineWidth = 1.5;
    context.beginPath();
    for (const { time, stability } of run) context.lineTo(x(time), top + height * (1 - stability));
    context.stroke();
    run.forEach(({ time, label }, i) => {
      context.fillStyle = facts.emotions.find(({ name }) => name === label)?.color ?? facts.otherColor;
      const next = run[i + 1]?.time ?? time + 0.1;
      context.fillRect(x(time), top + height + 8, x(next) - x(time) + 0.5, 6);
    });
  }
  context.restore();
}

function runs(samples: Sample[]): Sample[][] {
  const all: Sample[][] = [];
  for (const sample of samples) {
    const last = all.at(-1)?.at(-1);
    if (last && sample.time - last.time <= BREAK) all.at(-1)!.push(sample);
    else all.push([sample]);
  }
  return all;
}
