/** What a covered part of the face costs: by named part, and by a patch that moves over the crop (Zeiler and Fergus 2014). */

import { pixelValues, type Crop } from "./crop";
import type { Facts } from "./facts";
import type { Networks } from "./networks";
import { apply } from "./pixels";

/** The score of the expression with one part of the face covered. */
export interface Part {
  name: string;
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

type Mask = Uint8Array;

export async function explain(
  crop: Crop, points: Float32Array, facts: Facts, expressions: Networks["expressions"], target?: number,
): Promise<Why> {
  const values = pixelValues(crop, facts.network);
  const size = facts.network.imageSize;
  const [scores] = await expressions([values]);
  const chosen = target ?? scores!.indexOf(Math.max(...scores!));
  const masks = Object.entries(partMasks(crop, points, facts));
  const covered = await expressions(masks.map(([, mask]) => cover(values, mask, facts)));
  const parts = masks.map(([name], k) => ({ name, score: covered[k]![chosen]! }));
  const map = await patchMap(values, scores![chosen]!, chosen, facts, expressions);
  return { target: chosen, score: scores![chosen]!, parts, map, side: size, crop };
}

/** The values with 0, the processor's mean grey, wherever the mask is set. */
function cover(values: Float32Array, mask: Mask, facts: Facts): Float32Array {
  const covered = values.slice();
  const grey = facts.network.mean.reduce((sum, mean) => sum + mean, 0) / 3;
  for (let k = 0; k < covered.length; k++) {
    const channel = Math.floor(k / mask.length);
    // one level for all channels: a grey picture stays grey
    if (mask[k % mask.length]) covered[k] = (grey - facts.network.mean[channel]!) / facts.network.std[channel]!;
  }
  return covered;
}

/** Masks at the network's size of brows, eyes, nose, mouth, and cheeks and jaw, drawn as `regions.py` does. */
function partMasks(crop: Crop, points: Float32Array, facts: Facts): Record<string, Mask> {
  const size = facts.network.imageSize;
  const scale = size / crop.side;
  const at = (k: number): [number, number] => {
    const [x, y] = apply(crop.matrix, points[2 * k]!, points[2 * k + 1]!);
    return [(x + 0.5) * scale, (y + 0.5) * scale];
  };
  const range = (name: string) => {
    const [from, to] = facts.mesh.groups[name]!;
    return Array.from({ length: to - from }, (_, k) => at(from + k));
  };
  const centre = (all: [number, number][]) => [0, 1].map((axis) => all.reduce((sum, p) => sum + p[axis]!, 0) / all.length);
  const [right, left] = [centre(range("right eye")), centre(range("left eye"))];
  const unit = Math.max(Math.hypot(left[0]! - right[0]!, left[1]! - right[1]!), 1);
  const { browLift, eyeMargin, noseMargin, mouthMargin } = facts.regions;
  const lift = (all: [number, number][], by: number) => all.map(([x, y]) => [x, y - by * unit] as [number, number]);
  const brows = [...range("right brow"), ...range("left brow")];
  const forehead = [...lift(brows, browLift), ...lift(brows, -0.08)];
  const draw = (shapes: [number, number][][], margin: number) => rasterize(shapes, margin * unit, size);
  const masks: Record<string, Mask> = {
    brows: draw([forehead], 0),
    eyes: draw([range("right eye"), range("left eye")], eyeMargin),
    nose: draw([range("nose")], noseMargin),
    mouth: draw([range("mouth")], mouthMargin),
  };
  const face = draw([[...range("jaw"), ...forehead]], 0);
  masks["cheeks and jaw"] = face.map((set, k) => (set && !Object.values(masks).some((mask) => mask[k]) ? 1 : 0));
  return masks;
}

/** Convex hulls of points, widened by `margin`, as a mask. */
function rasterize(shapes: [number, number][][], margin: number, size: number): Mask {
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
  return Uint8Array.from({ length: size * size }, (_, k) => (data[4 * k + 3]! > 127 ? 1 : 0));
}

/** Corners of the convex hull (Andrew 1979). */
export function hull(points: [number, number][]): [number, number][] {
  const sorted = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const chain = (all: [number, number][]) => {
    const kept: [number, number][] = [];
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
  values: Float32Array, score: number, target: number, facts: Facts, expressions: Networks["expressions"],
): Promise<Float32Array> {
  const size = facts.network.imageSize;
  const [patch, stride] = [size >> 2, size >> 3];
  const corners: [number, number][] = [];
  for (let y = 0; y <= size - patch; y += stride) for (let x = 0; x <= size - patch; x += stride) corners.push([x, y]);
  const [falls, counts] = [new Float32Array(size * size), new Float32Array(size * size)];
  for (let start = 0; start < corners.length; start += 16) {
    const masks = corners.slice(start, start + 16).map(([x, y]) =>
      Uint8Array.from({ length: size * size }, (_, k) => {
        const [column, row] = [k % size, Math.floor(k / size)];
        return column >= x && column < x + patch && row >= y && row < y + patch ? 1 : 0;
      }),
    );
    const scores = await expressions(masks.map((mask) => cover(values, mask, facts)));
    masks.forEach((mask, k) => {
      for (let place = 0; place < mask.length; place++) {
        if (!mask[place]) continue;
        falls[place]! += score - scores[k]![target]!;
        counts[place]! += 1;
      }
    });
  }
  const mean = falls.map((fall, k) => Math.max(0, fall / Math.max(counts[k]!, 1)));
  const top = Math.max(...mean, 1e-6);
  return mean.map((fall) => fall / top);
}
