/** What is known of each person over time: smoothed scores, the name that is shown, how steady it is, and a resting face. */

import type { Facts } from "./assets";
import { measure } from "./landmarks";
import type { Face } from "./worker";

/** A person as shown. `smoothed`, `label` and `confidence` are measured against the resting face where one is set. */
export interface Person {
  number: number;
  face: Face;
  smoothed: number[];
  label: string;
  confidence: number;
  /** 1 − the mean distance (total variation) of the raw scores from their mean over two seconds; null for a photo. */
  stability: number | null;
  measures: number[];
  baseline: Baseline | null;
}

/** Mean scores and measures of a face at rest. */
interface Baseline {
  scores: number[];
  measures: number[];
}

/** Seconds that a resting face is averaged over, and that the stability looks back. */
const BASELINE_SECONDS = 3;
const STABILITY_SECONDS = 2;
/** Seconds after which a person who is out of sight is forgotten. */
const KEEP = 2;

interface Memory {
  smoother: ScoreSmoother;
  seen: number;
  recent: { time: number; scores: number[] }[];
  measures: ScoreSmoother;
  baseline: Baseline | null;
  resting: { until: number; scores: number[][]; measures: number[][] } | null;
}

export class People {
  private readonly known = new Map<number, Memory>();

  constructor(private readonly facts: Facts) {}

  /** Take in the faces of a frame at `time` in seconds. */
  update(faces: Face[], time: number): Person[] {
    for (const [number, memory] of this.known) if (time - memory.seen > KEEP) this.known.delete(number);
    return faces.map((face) => this.updateOne(face, time));
  }

  private updateOne(face: Face, time: number): Person {
    const memory = this.known.get(face.person) ?? this.meet(face.person);
    memory.seen = time;
    const fresh = measure(face.mesh);
    this.rest(memory, face.scores, fresh, time);
    const neutral = this.facts.emotions.findIndex(({ name }) => name === "neutral");
    const scores = memory.baseline ? againstRest(face.scores, memory.baseline.scores, neutral) : face.scores;
    const smoothed = memory.smoother.update(scores, time);
    // the held name is held among clear ones only: on a slow machine, holding lasts longer than a face does
    const held = memory.smoother.dominant;
    const index = smoothed[held]! >= this.facts.threshold ? held : argmax(smoothed);
    const confidence = smoothed[index]!;
    memory.recent = [...memory.recent.filter((one) => time - one.time <= STABILITY_SECONDS), { time, scores: face.scores }];
    return {
      number: face.person, face, smoothed, confidence,
      label: nameOf(index, confidence, this.facts),
      stability: stability(memory.recent.map((one) => one.scores)),
      measures: memory.measures.update(fresh, time),
      baseline: memory.baseline,
    };
  }

  private meet(number: number): Memory {
    const { timeConstant, hold } = this.facts.smoothing;
    const memory: Memory = {
      smoother: new ScoreSmoother(timeConstant, hold), seen: 0, recent: [],
      measures: new ScoreSmoother(timeConstant, 1), baseline: null, resting: null,
    };
    this.known.set(number, memory);
    return memory;
  }

  private rest(memory: Memory, scores: number[], measures: number[], time: number): void {
    const { resting } = memory;
    if (resting === null) return;
    if (resting.until === Infinity) resting.until = time + BASELINE_SECONDS;
    resting.scores.push(scores);
    resting.measures.push(measures);
    if (time < resting.until) return;
    memory.baseline = { scores: meanOf(resting.scores), measures: meanOf(resting.measures) };
    memory.resting = null;
    memory.smoother = new ScoreSmoother(this.facts.smoothing.timeConstant, this.facts.smoothing.hold);
  }

  /** Take the next three seconds of a person's face for its face at rest. */
  startBaseline(number: number): void {
    const memory = this.known.get(number);
    if (memory) [memory.baseline, memory.resting] = [null, { until: Infinity, scores: [], measures: [] }];
  }

  clearBaseline(number: number): void {
    const memory = this.known.get(number);
    if (memory) [memory.baseline, memory.resting] = [null, null];
  }

  /** The share of the three seconds that is over, or null while none are taken. */
  baselineProgress(number: number, time: number): number | null {
    const resting = this.known.get(number)?.resting;
    if (!resting) return null;
    return resting.until === Infinity ? 0 : Math.min(1, 1 - (resting.until - time) / BASELINE_SECONDS);
  }
}

/** The expression of the highest score, or "no clear emotion" under the model's threshold. */
function nameOf(index: number, confidence: number, facts: Facts): string {
  return confidence >= facts.threshold ? facts.emotions[index]!.name : facts.noClearEmotion;
}

/** Faces of a photo: each as it is, unsmoothed. */
export function fromPhoto(faces: Face[], facts: Facts): Person[] {
  return faces.map((face) => {
    const best = argmax(face.scores);
    const confidence = face.scores[best]!;
    return {
      number: face.person, face, smoothed: face.scores, confidence, label: nameOf(best, confidence, facts),
      stability: null, measures: measure(face.mesh), baseline: null,
    };
  });
}

/**
 * Scores divided by what the same face gets at rest, p / (rest + 1/n), scaled to sum to 1: what a face always seems to
 * show counts less. The 1/n keeps an expression that rest never shows from being blown up by more than the others; the
 * score of `neutral`, an index or -1, is what rest should have and is not divided so.
 */
export function againstRest(scores: readonly number[], rest: readonly number[], neutral: number): number[] {
  const weighed = scores.map((score, k) => score / ((k === neutral ? 0 : rest[k]!) + 1 / scores.length));
  const sum = weighed.reduce((total, value) => total + value, 0);
  return weighed.map((value) => value / sum);
}

/** From 1 (all rows alike) down to 0. */
export function stability(rows: readonly number[][]): number {
  if (rows.length === 0) return 1;
  const mean = meanOf(rows);
  const distance = (row: number[]) => row.reduce((sum, value, k) => sum + Math.abs(value - mean[k]!), 0) / 2;
  return 1 - rows.reduce((sum, row) => sum + distance(row), 0) / rows.length;
}

function meanOf(rows: readonly number[][]): number[] {
  return rows[0]!.map((_, k) => rows.reduce((sum, row) => sum + row[k]!, 0) / rows.length);
}

export class ScoreSmoother {
  scores: number[] | null = null;
  dominant = 0;
  private time = 0;
  private held = 0;

  /** `timeConstant` in seconds; `hold`: frames for which the dominant expression stays at least. */
  constructor(
    private readonly timeConstant: number,
    private readonly hold: number,
  ) {}

  /** The smoothed scores after `scores` at `time` in seconds; `dominant` is an index. */
  update(scores: readonly number[], time: number): number[] {
    if (this.scores === null) {
      this.scores = [...scores];
      this.dominant = argmax(this.scores);
    } else {
      const share = this.timeConstant > 0 ? -Math.expm1(-Math.max(time - this.time, 0) / this.timeConstant) : 1;
      this.scores = this.scores.map((old, k) => old + share * (scores[k]! - old));
    }
    if (this.held >= this.hold && argmax(this.scores) !== this.dominant) {
      this.dominant = argmax(this.scores);
      this.held = 0;
    }
    this.held += 1;
    this.time = time;
    return this.scores;
  }
}


export function softmax(values: readonly number[]): number[] {
  const top = Math.max(...values);
  const powers = values.map((value) => Math.exp(value - top));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

export function argmax(values: readonly number[]): number {
  let best = 0;
  for (let k = 1; k < values.length; k++) if (values[k]! > values[best]!) best = k;
  return best;
}
