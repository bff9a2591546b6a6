/** The scores of one person over the last minute as a stacked area, with the labels under it and the stability over it. */

import type { Facts } from "./facts";
import type { Sample } from "./session";

/** Seconds that are shown. */
export const SPAN = 60;
/** Seconds without a sample that break the picture. */
const GAP = 1.5;

interface Place {
  left: number;
  top: number;
  width: number;
  height: number;
}

export class Timeline {
  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly facts: Facts,
  ) {}

  /** Draw one person's samples up to `now`, in seconds of the session. */
  draw(samples: Sample[], now: number): void {
    const { clientWidth, clientHeight } = this.canvas;
    const fine = Math.min(window.devicePixelRatio || 1, 2);
    const [w, h] = [Math.round(clientWidth * fine), Math.round(clientHeight * fine)];
    if (w === 0 || h === 0) return;
    if (this.canvas.width !== w || this.canvas.height !== h) [this.canvas.width, this.canvas.height] = [w, h];
    const context = this.canvas.getContext("2d")!;
    context.setTransform(fine, 0, 0, fine, 0, 0);
    context.clearRect(0, 0, clientWidth, clientHeight);
    const ink = getComputedStyle(this.canvas).color;
    drawAreas(context, samples, now, SPAN, { left: 0, top: 6, width: clientWidth, height: clientHeight - 24 }, this.facts, ink);
  }

  /** The whole of a person's session as a picture that can be shown elsewhere. */
  toPng(samples: Sample[], title: string): Promise<Blob | null> {
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
    drawAreas(context, samples, end, end - start, { left: 40, top: 100, width: width - 80, height: 240 }, this.facts, "#191a1f");
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
    if (last && sample.time - last.time <= GAP) all.at(-1)!.push(sample);
    else all.push([sample]);
  }
  return all;
}
