/** What a session leaves: samples over time, changes that lasted, a summary, and the table for download. */

import type { Facts } from "./facts";
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
export interface Stretch {
  person: number;
  label: string;
  from: number;
  until: number;
}

/** Seconds that a label must last to be an event. */
export const LASTING = 1;
/** Seconds between samples of one person, and samples that are kept at most: two hours of one person. */
const STEP = 0.1;
const MOST = 72_000;
/** Seconds of absence that end a stretch, and between two frames, after which nothing is known of the time between. */
const GAP = 1;
const LONGEST_FRAME = 5;

export class Session {
  samples: Sample[] = [];
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
    [this.samples, this.stretches, this.previous] = [[], [], -Infinity];
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
