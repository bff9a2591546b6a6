/** What is drawn over the picture: outlines of the features, a frame and a name per face, and the map of a why. */

import type { Facts } from "./assets";
import { invert } from "./crop";
import type { Why } from "./occlusion";
import type { Person } from "./people";

/** Runs of the 68 landmarks that are drawn as lines; closed where the third is true. */
const LINES: [number, number, boolean][] = [
  [0, 16, false], [17, 21, false], [22, 26, false], [27, 30, false], [31, 35, false],
  [36, 41, true], [42, 47, true], [48, 59, true], [60, 67, true],
];

export class Stage {
  mirrored = true;
  outlines = true;
  private readonly context: CanvasRenderingContext2D;
  /** Size on the page, in its pixels; asked for when it changes, not with every frame. */
  private place = { width: 0, height: 0 };

  /** `onResize` is called when `frame`, which the canvas fills, has another size. */
  constructor(
    frame: HTMLElement,
    private readonly canvas: HTMLCanvasElement,
    private readonly facts: Facts,
    onResize: () => void,
  ) {
    this.context = canvas.getContext("2d")!;
    new ResizeObserver(() => {
      this.place = frame.getBoundingClientRect();
      onResize();
    }).observe(frame);
  }

  /** Draw everybody over a picture of that size; `chosen` is whom the panel tells about. */
  draw(people: Person[], width: number, height: number, chosen: number | null, why: Why | null): void {
    const { context } = this;
    const scale = this.fit(width, height);
    context.save();
    context.clearRect(0, 0, width, height);
    context.save();
    if (this.mirrored) context.transform(-1, 0, 0, 1, width, 0);
    if (why) drawMap(context, why);
    for (const person of people) {
      context.globalAlpha = person.number === chosen ? 1 : 0.75;
      if (this.outlines) this.drawOutline(person, scale);
      this.drawCorners(person, scale, person.number === chosen);
    }
    context.restore();
    for (const person of people) this.drawName(person, width, scale, people.length > 1, person.number === chosen);
    context.restore();
  }

  clear(): void {
    this.context.setTransform(1, 0, 0, 1, 0, 0);
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  /** Number of the person at a place of the page, or null. */
  personAt(people: Person[], event: MouseEvent, width: number, height: number): number | null {
    const place = this.canvas.getBoundingClientRect();
    let x = ((event.clientX - place.left) / place.width) * width;
    const y = ((event.clientY - place.top) / place.height) * height;
    if (this.mirrored) x = width - x;
    const hit = people.find(({ face: { box } }) => x >= box[0] && x <= box[0] + box[2] && y >= box[1] && y <= box[1] + box[3]);
    return hit?.number ?? null;
  }

  colorOf(label: string): string {
    return this.facts.emotions.find(({ name }) => name === label)?.color ?? this.facts.otherColor;
  }

  /** Make the canvas as fine as the screen; returns how many picture pixels make one of the page. */
  private fit(width: number, height: number): number {
    const { place } = this;
    const fine = Math.min(window.devicePixelRatio || 1, 2);
    const [w, h] = [Math.max(1, Math.round(place.width * fine)), Math.max(1, Math.round(place.height * fine))];
    if (this.canvas.width !== w || this.canvas.height !== h) [this.canvas.width, this.canvas.height] = [w, h];
    this.context.setTransform(w / width, 0, 0, h / height, 0, 0);
    return width / Math.max(place.width, 1);
  }

  private drawOutline({ face: { points } }: Person, scale: number): void {
    const { context } = this;
    context.lineJoin = context.lineCap = "round";
    for (const [line, color] of [[3, "rgb(0 0 0 / 35%)"], [1.4, "rgb(255 255 255 / 90%)"]] as const) {
      context.lineWidth = line * scale;
      context.strokeStyle = color;
      context.beginPath();
      for (const [from, to, closed] of LINES) {
        for (let k = from; k <= to; k++) {
          if (k === from) context.moveTo(points[2 * k]!, points[2 * k + 1]!);
          else context.lineTo(points[2 * k]!, points[2 * k + 1]!);
        }
        if (closed) context.lineTo(points[2 * from]!, points[2 * from + 1]!);
      }
      context.stroke();
    }
  }

  private drawCorners({ face: { box: [x, y, width, height] }, label }: Person, scale: number, chosen: boolean): void {
    const { context } = this;
    const [arm, round] = [0.2 * width, 0.08 * width];
    for (const [line, color] of [[chosen ? 6 : 4, "rgb(0 0 0 / 35%)"], [chosen ? 4 : 2.5, this.colorOf(label)]] as const) {
      context.lineWidth = line * scale;
      context.strokeStyle = color;
      context.beginPath();
      for (const [cx, cy, dx, dy] of [[x, y, 1, 1], [x + width, y, -1, 1], [x + width, y + height, -1, -1], [x, y + height, 1, -1]] as const) {
        context.moveTo(cx, cy + dy * arm);
        context.arcTo(cx, cy, cx + dx * arm, cy, round);
        context.lineTo(cx + dx * arm, cy);
      }
      context.stroke();
    }
  }

  /** Where names of many small faces would cover each other, all but the chosen one show only their number. */
  private drawName(
    { number, face: { box }, label, confidence }: Person, width: number, scale: number, numbered: boolean, chosen: boolean,
  ): void {
    const { context } = this;
    const size = Math.max(11, Math.min(16, (box[2] / scale) * 0.13)) * scale;
    context.font = `600 ${size}px system-ui, sans-serif`;
    const clear = label !== this.facts.noClearEmotion;
    let text = `${numbered ? `${number}  ` : ""}${label}${clear ? ` ${Math.round(100 * confidence)} %` : ""}`;
    if (numbered && !chosen && context.measureText(text).width > 1.5 * box[2]) text = String(number);
    const [w, h] = [context.measureText(text).width + 1.2 * size, 1.8 * size];
    const centre = this.mirrored ? width - box[0] - box[2] / 2 : box[0] + box[2] / 2;
    const left = Math.min(Math.max(centre - w / 2, 2 * scale), Math.max(2 * scale, width - w - 2 * scale));
    const top = Math.max(box[1] - h - 6 * scale, 2 * scale);
    const color = this.colorOf(label);
    context.fillStyle = color;
    context.beginPath();
    context.roundRect(left, top, w, h, h / 2);
    context.fill();
    context.fillStyle = isLight(color) ? "#111" : "#fff";
    context.textBaseline = "middle";
    context.fillText(text, left + 0.6 * size, top + 0.53 * h);
  }
}

/** Whether black text reads better on a colour (#rrggbb) than white. */
function isLight(color: string): boolean {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16)) as [number, number, number];
  return 0.299 * r + 0.587 * g + 0.114 * b > 127;
}

/** Cells across the map that is drawn; between them it is smooth. */
const CELLS = 16;

/** The map where the crop was taken: the more its place mattered, the brighter; the rest of the face is dimmed. */
function drawMap(context: CanvasRenderingContext2D, { map, side, crop }: Why): void {
  const picture = new ImageData(CELLS, CELLS);
  const step = side / CELLS;
  for (let cell = 0; cell < CELLS * CELLS; cell++) {
    const [x, y] = [Math.floor(((cell % CELLS) + 0.5) * step), Math.floor((Math.floor(cell / CELLS) + 0.5) * step)];
    const heat = map[y * side + x]!;
    picture.data.set([255, Math.round(60 + 170 * heat), Math.round(40 * heat), Math.round(235 * Math.sqrt(heat))], 4 * cell);
  }
  const canvas = new OffscreenCanvas(CELLS, CELLS);
  canvas.getContext("2d")!.putImageData(picture, 0, 0);
  const [a, b, c, d, e, f] = invert(crop.matrix);
  context.save();
  context.transform(a, d, b, e, c, f);
  context.beginPath();
  context.roundRect(-0.5, -0.5, crop.side, crop.side, 0.06 * crop.side);
  context.clip();
  context.fillStyle = "rgb(10 10 30 / 55%)";
  context.fill();
  context.imageSmoothingQuality = "high";
  context.drawImage(canvas, -0.5, -0.5, crop.side, crop.side);
  context.restore();
}
