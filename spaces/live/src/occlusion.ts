/**
 * What a covered part of the face costs: by named part under the skin's colour, as `covering.py` in Python, and by a grey
 * patch that moves over the crop (Zeiler and Fergus 2014), as `occlusion.py`.
 */

import type { Facts, PartName } from "./assets";
import { apply, pixelValues, type Crop } from "./crop";
import { argmax, softmax } from "./people";
import type { Networks } from "./worker";

type Point = [number, number];

/** Covered copies that go through the network at once. */
const BATCH = 16;

/** The score of the expression with one part of the face covered. */
interface Part {
  name: PartName;
  score: number;
}

/** `map` holds in [0, 1], row by row, how much the score falls where a patch covers the place; `side` its side. */
export interface Why {
  target: number;
  score: number;
  parts: Part[];
  map: Float32Array;
  side: number;
  crop: Crop;
}

/** From 0 to 1, row by row at the network's size: how far a place is covered. */
type Mask = Float32Array;

export async function explain(
  crop: Crop, points: Float32Array, facts: Facts, expressions: Networks["expressions"],
): Promise<Why> {
  const values = pixelValues(crop, facts.network);
  const size = facts.network.imageSize;
  const ask = async (all: Float32Array[]) => (await expressions(all)).map(softmax);
  const [scores] = await ask([values]);
  const target = argmax(scores!);
  const { masks, cheeks } = partMasks(crop, points, facts);
  const skin = skinOf(values, cheeks);
  const names = facts.regions.covered.filter((name) => masks[name].some((part) => part > 0));
  const covered = await ask(names.map((name) => cover(values, blur(masks[name], size, facts.regions.edge * size), skin)));
  const parts = names.map((name, k) => ({ name, score: covered[k]![target]! }));
  const map = await patchMap(values, scores![target]!, target, size, ask);
  return { target, score: scores![target]!, parts, map, side: size, crop };
}

/** The values with another level per channel as far as the mask covers them. */
function cover(values: Float32Array, mask: Mask, levels: number[]): Float32Array {
  return values.map((value, k) => {
    const part = mask[k % mask.length]!;
    return part * levels[Math.floor(k / mask.length)]! + (1 - part) * value;
  });
}

/** Mean value of the cheeks per channel; of everything where no cheek is in the crop. */
function skinOf(values: Float32Array, cheeks: Mask): number[] {
  const all = cheeks.some((part) => part > 0) ? cheeks : cheeks.map(() => 1);
  const count = all.reduce((sum, part) => sum + part, 0);
  const channels = values.length / all.length;
  return Array.from({ length: channels }, (_, c) => all.reduce((sum, part, k) => sum + part * values[c * all.length + k]!, 0) / count);
}

/** Masks of brows, eyes, nose and mouth, drawn as Python's `region_map` does: where they overlap the later wins. */
function partMasks(crop: Crop, points: Float32Array, facts: Facts): { masks: Record<PartName, Mask>; cheeks: Mask } {
  const size = facts.network.imageSize;
  const scale = size / crop.side;
  const range = (name: string) => {
    const [from, to] = facts.mesh.groups[name]!;
    return Array.from({ length: to - from }, (_, k) => {
      const [x, y] = apply(crop.matrix, points[2 * (from + k)]!, points[2 * (from + k) + 1]!);
      return [(x + 0.5) * scale, (y + 0.5) * scale] as Point;
    });
  };
  const centre = (all: Point[]) => [0, 1].map((axis) => all.reduce((sum, p) => sum + p[axis]!, 0) / all.length);
  const [right, left] = [centre(range("right eye")), centre(range("left eye"))];
  const unit = Math.max(Math.hypot(left[0]! - right[0]!, left[1]! - right[1]!), 1);
  const { browLift, eyeMargin, noseMargin, mouthMargin } = facts.regions;
  const lift = (all: Point[], by: number) => all.map(([x, y]) => [x, y - by * unit] as Point); // the crop's eyes are level
  const brows = [...range("right brow"), ...range("left brow")];
  const forehead = [...lift(brows, browLift), ...lift(brows, -0.08)];
  const draw = (shapes: Point[][], margin: number) => rasterize(shapes, margin * unit, size);
  const masks: Record<PartName, Mask> = {
    brows: draw([forehead], 0),
    nose: draw([range("nose")], noseMargin),
    eyes: draw([range("right eye"), range("left eye")], eyeMargin),
    mouth: draw([range("mouth")], mouthMargin),
  };
  const [first, last] = [range("mouth")[0]!, range("mouth")[6]!];
  const face = draw([[...range("jaw"), ...forehead]], 0);
  const order: PartName[] = ["brows", "nose", "eyes", "mouth"];
  order.forEach((name, k) => order.slice(k + 1).forEach((later) => (masks[name] = minus(masks[name], masks[later]))));
  const above = face.map((_, k) => (Math.floor(k / size) + 0.5 <= (first[1] + last[1]) / 2 ? 1 : 0));
  const cheeks = order.reduce<Mask>((rest, name) => minus(rest, masks[name]), face.map((part, k) => part * above[k]!));
  return { masks, cheeks };
}

const minus = (mask: Mask, other: Mask): Mask => mask.map((part, k) => (other[k]! > 0 ? 0 : part));

/** Convex hulls of points, widened by `margin`, as a mask. */
function rasterize(shapes: Point[][], margin: number, size: number): Mask {
  const context = new OffscreenCanvas(size, size).getContext("2d", { willReadFrequently: true })!;
  context.lineJoin = "round";
  context.lineWidth = 2 * margin;
  for (const shape of shapes) {
    context.beginPath();
    for (const [x, y] of hull(shape)) context.lineTo(x, y);
    context.closePath();
    context.fill();
    if (margin > 0) context.stroke();
  }
  const { data } = context.getImageData(0, 0, size, size);
  return Float32Array.from({ length: size * size }, (_, k) => (data[4 * k + 3]! > 127 ? 1 : 0));
}

/** Gaussian blur in two passes; the border repeats. */
function blur(mask: Mask, size: number, deviation: number): Mask {
  const reach = Math.ceil(3 * deviation);
  const weights = Array.from({ length: 2 * reach + 1 }, (_, k) => Math.exp(-((k - reach) ** 2) / (2 * deviation ** 2)));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  const pass = (from: Mask, step: number) =>
    from.map((_, k) => {
      const place = step === 1 ? k % size : Math.floor(k / size);
      return weights.reduce((total, weight, w) => {
        const other = Math.min(Math.max(place + w - reach, 0), size - 1);
        return total + weight * from[k + (other - place) * step]!;
      }, 0) / sum;
    });
  return pass(pass(mask, 1), size);
}

/** Corners of the convex hull (Andrew 1979). */
export function hull(points: Point[]): Point[] {
  const sorted = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const chain = (all: Point[]) => {
    const kept: Point[] = [];
    for (const p of all) {
      while (kept.length > 1) {
        const [a, b] = [kept[kept.length - 2]!, kept[kept.length - 1]!];
        if ((b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]) > 0) break;
        kept.pop();
      }
      kept.push(p);
    }
    return kept.slice(0, -1);
  };
  return [...chain(sorted), ...chain(sorted.reverse())];
}

/** Mean fall over the patches that cover a place, a quarter of the side wide, half of that apart; 1 is the deepest. */
async function patchMap(
  values: Float32Array, score: number, target: number, size: number, ask: Networks["expressions"],
): Promise<Float32Array> {
  const [patch, stride] = [size >> 2, size >> 3];
  const masks: Mask[] = [];
  for (let top = 0; top <= size - patch; top += stride) {
    for (let left = 0; left <= size - patch; left += stride) {
      const mask = new Float32Array(size * size);
      for (let row = top; row < top + patch; row++) mask.fill(1, row * size + left, row * size + left + patch);
      masks.push(mask);
    }
  }
  const [falls, counts] = [new Float32Array(size * size), new Float32Array(size * size)];
  for (let start = 0; start < masks.length; start += BATCH) {
    const batch = masks.slice(start, start + BATCH);
    const scores = await ask(batch.map((mask) => cover(values, mask, [0, 0, 0]))); // 0 is the processor's mean
    batch.forEach((mask, k) => {
      for (let place = 0; place < mask.length; place++) {
        falls[place]! += mask[place]! * (score - scores[k]![target]!);
        counts[place]! += mask[place]!;
      }
    });
  }
  const mean = falls.map((fall, k) => Math.max(0, fall / counts[k]!));
  const top = Math.max(...mean, 1e-6);
  return mean.map((fall) => fall / top);
}
