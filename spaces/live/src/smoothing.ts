/** Scores of one person over time: an exponential filter and a name that does not flicker, as `ScoreSmoother`. */

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

export function argmax(values: readonly number[]): number {
  let best = 0;
  for (let k = 1; k < values.length; k++) if (values[k]! > values[best]!) best = k;
  return best;
}
