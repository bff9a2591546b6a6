/** What is drawn over the picture: outlines of the features, a frame and a name per face, and the map of a why. */

import type { Facts } from "./assets";
import { invert } from "./crop";
import { overlap, type Box } from "./detector";
import type { Why } from "./occlusion";
import type { Person } from "./people";

/** Runs of the 68 landmarks that are drawn as lines; closed where the third is true. */
const LINES: [number, number, boolean][] = [
  [0, 16, false], [17, 21, false], [22, 26, false], [27, 30, false], [31, 35, false],
  [36, 41, true], [42, 47, true], [48, 59, true], [60, 67, true],
];

/** Share of a face's box, from its top, that no name may cover: brows and eyes. */
const EYES = 0.6;
/** Pixels of the page: narrower faces get no lines, which would hide them; on wider ones a name has room on the chin. */
const [SMALL, LARGE] = [48, 150];

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
      const small = person.face.box[2] < SMALL * scale && person.number !== chosen;
      if (this.outlines && !small) this.drawOutline(person, scale);
      this.drawCorners(person, scale, person.number === chosen);
    }
    context.restore();
    const shown = people.map(({ face: { box: [x, y, w, h] } }): Box => [this.mirrored ? width - x - w : x, y, w, h]);
    const measure = (text: string, size: number) => ((context.font = font(size)), context.measureText(text).width);
    const words = (person: Person) => this.wordsFor(person, people.length > 1);
    placeNames(people, shown, chosen, [width, height], scale, words, measure).forEach((tag) => this.drawName(tag));
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

  private wordsFor({ number, label, confidence }: Person, numbered: boolean): string[] {
    const name = label === this.facts.noClearEmotion ? label : `${label} ${Math.round(100 * confidence)} %`;
    return numbered ? [`${number}  ${name}`, String(number)] : [name];
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

  private drawName({ person: { label }, text, size, box: [left, top, width, height] }: Tag): void {
    const { context } = this;
    const color = this.colorOf(label);
    context.font = font(size);
    context.fillStyle = color;
    context.beginPath();
    context.roundRect(left, top, width, height, height / 2);
    context.fill();
    context.fillStyle = isLight(color) ? "#111" : "#fff";
    context.textBaseline = "middle";
    context.fillText(text, left + 0.6 * size, top + 0.53 * height);
  }
}

const font = (size: number) => `600 ${size}px system-ui, sans-serif`;

/** A name or number over the picture, in a box of its pixels. */
interface Tag {
  person: Person;
  text: string;
  size: number;
  box: Box;
}

/**
 * Where the names stand: the chosen person's first, then those of the largest faces; above the face or below it, over
 * nobody's eyes and over no other name. Who has no room for the whole name gets the number, and else the frame alone.
 * `words` are a person's texts, the longest first; `boxes` are the faces as shown, mirrored or not.
 */
export function placeNames(
  people: Person[], boxes: Box[], chosen: number | null, [width, height]: [number, number], scale: number,
  words: (person: Person) => string[], measure: (text: string, size: number) => number,
): Tag[] {
  const eyes = boxes.map(([x, y, w, h]): Box => [x, y, w, EYES * h]);
  const rank = (k: number) => (people[k]!.number === chosen ? Infinity : boxes[k]![2]);
  const tags: Tag[] = [];
  for (const k of people.map((_, index) => index).sort((a, b) => rank(b) - rank(a))) {
    const [x, y, w, h] = boxes[k]!;
    const size = Math.max(11, Math.min(16, (w / scale) * 0.13)) * scale;
    const [tall, gap] = [1.8 * size, 2 * scale];
    const tops = [y - tall - 3 * gap, y + h + 3 * gap].filter((top) => top >= gap && top + tall <= height - gap);
    if (w > LARGE * scale) tops.push(Math.min(y + h, height) - tall - gap); // a face that fills the picture: over the chin
    const person = people[k]!;
    const places = words(person).filter((text) => rank(k) === Infinity || measure(text, size) <= 1.5 * w).flatMap((text) => {
      const wide = measure(text, size) + 1.2 * size;
      const left = Math.min(Math.max(x + w / 2 - wide / 2, gap), Math.max(gap, width - wide - gap));
      return tops.map((top): Tag => ({ person, text, size, box: [left, top, wide, tall] }));
    });
    const free = places.find(({ box }) => [...eyes, ...tags.map((tag) => tag.box)].every((other) => overlap(box, other).inside === 0));
    if (free) tags.push(free);
  }
  return tags;
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
