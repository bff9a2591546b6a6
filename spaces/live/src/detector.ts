/** Faces in a picture: BlazeFace on the whole of it and on overlapping tiles, as `FaceDetector` in Python; O-Net, where in doubt. */

import type { Facts } from "./assets";
import { cropFace, levels, look, roundEven, warpSquare, type Affine, type Picture } from "./crop";
import type { Networks } from "./worker";

export type Box = [number, number, number, number];

/** Intersection over union, and intersection over the smaller of the two boxes. */
export function overlap(a: Box, b: Box): { iou: number; inside: number } {
  const width = Math.min(a[0] + a[2], b[0] + b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[1] + a[3], b[1] + b[3]) - Math.max(a[1], b[1]);
  const shared = Math.max(0, width) * Math.max(0, height);
  const [areaA, areaB] = [a[2] * a[3], b[2] * b[3]];
  return {
    iou: shared / Math.max(areaA + areaB - shared, 1e-9),
    inside: shared / Math.max(Math.min(areaA, areaB), 1e-9),
  };
}

/** The best of each group of overlapping boxes, best first, and none that overlaps a `known` one. */
export function nonMaximumSuppression<T extends { box: Box; score: number }>(
  found: T[], known: readonly T[], maxIou: number, maxInside: number,
): T[] {
  const kept: T[] = [];
  for (const one of [...found].sort((a, b) => b.score - a.score)) {
    const free = [...known, ...kept].every((other) => {
      const { iou, inside } = overlap(one.box, other.box);
      return iou < maxIou && inside < maxInside;
    });
    if (free) kept.push(one);
  }
  return kept;
}


/** `keypoints` are x, y of right eye, left eye, nose tip, mouth, right and left ear, in pixels of the picture. */
export interface Detection {
  box: Box;
  score: number;
  keypoints: number[];
}

/** A square (x, y, side) of the picture. */
type Square = [number, number, number];

/** RGB floats of a square → outputs in the order of the names that the network was loaded with. */
export type FaceNetwork = (pixels: Float32Array) => Promise<Float32Array[]>;

/** Centres of BlazeFace's 896 anchors in [0, 1]: two per cell of 16×16, six per cell of 8×8. */
function anchors(): Float32Array {
  const centres: number[] = [];
  for (const [cells, count] of [[16, 2], [8, 6]] as const) {
    for (let cell = 0; cell < cells * cells; cell++) {
      for (let k = 0; k < count; k++) centres.push(((cell % cells) + 0.5) / cells, (Math.floor(cell / cells) + 0.5) / cells);
    }
  }
  return Float32Array.from(centres);
}

function evenly(length: number, side: number): number[] {
  const count = Math.max(1, Math.ceil((length - side) / ((side * 2) / 3)) + 1);
  return Array.from({ length: count }, (_, k) => (count === 1 ? 0 : roundEven(k * ((length - side) / (count - 1)))));
}

/** Squares to search: one around the whole picture, then for each scale tiles that overlap by a third. */
export function windows(height: number, width: number, scales: readonly number[], minTile: number): Square[] {
  const [longer, shorter] = [Math.max(height, width), Math.min(height, width)];
  const squares: Square[] = [[Math.floor((width - longer) / 2), Math.floor((height - longer) / 2), longer]];
  for (const scale of scales) {
    const side = roundEven(shorter * scale);
    if (side < minTile) continue;
    for (const y of evenly(height, side)) for (const x of evenly(width, side)) squares.push([x, y, side]);
  }
  return squares;
}

const INPUT = levels((level) => level / 127.5 - 1);

export class FaceDetector {
  private readonly anchors = anchors();
  private readonly input: Float32Array;

  /** `confirm` says whether another network sees a face there; it checks the doubtful detections. */
  constructor(
    private readonly facts: Facts["detector"],
    private readonly network: FaceNetwork,
    private readonly confirm: (picture: Picture, face: Detection) => Promise<boolean>,
  ) {
    this.input = new Float32Array(3 * facts.side ** 2);
  }

  /** All faces, the best first; where none is found, one that fills the picture. */
  async detect(picture: Picture): Promise<Detection[]> {
    const { width, height } = picture;
    const found = await this.search(picture, windows(height, width, this.facts.tileScales, this.facts.minTile));
    if (found.length) return found;
    const side = roundEven(this.facts.wider * Math.max(width, height));
    const square: Square = [Math.floor((width - side) / 2), Math.floor((height - side) / 2), side];
    const filling = await this.search(picture, [square]);
    return filling.filter(({ box }) => box[2] >= this.facts.leastFilling * Math.min(height, width));
  }

  /** Look only in some squares, for other faces than the `known` ones. */
  async search(picture: Picture, squares: Square[], known: readonly Detection[] = []): Promise<Detection[]> {
    const found: Detection[] = [];
    for (const square of squares) found.push(...(await this.detectIn(picture, square)));
    return this.confirmed(picture, nonMaximumSuppression(found, known, this.facts.maxIou, this.facts.maxInside));
  }

  /** Look only in a square of twice the box around it, as a tracker does between full searches. */
  async detectNear(picture: Picture, [x, y, width, height]: Box, scale = 2): Promise<Detection[]> {
    const side = scale * Math.max(width, height);
    const square: Square = [roundEven(x + width / 2 - side / 2), roundEven(y + height / 2 - side / 2), Math.max(1, roundEven(side))];
    return this.search(picture, [square]);
  }

  private async confirmed(picture: Picture, found: Detection[]): Promise<Detection[]> {
    const kept: Detection[] = [];
    for (const one of found) {
      if (one.score >= this.facts.sure || (await this.confirm(picture, one))) kept.push(one);
    }
    return kept;
  }

  /** Detect in a square, which may reach beyond the picture; there it is black. */
  private async detectIn(picture: Picture, [x, y, side]: Square): Promise<Detection[]> {
    const scale = this.facts.side / side;
    const matrix: Affine = [scale, 0, (0.5 - x) * scale - 0.5, 0, scale, (0.5 - y) * scale - 0.5];
    const rgb = warpSquare(picture, matrix, this.facts.side);
    const [logits, values] = await this.network(look(rgb, INPUT, this.input));
    return this.decode(logits!, values!, x, y, side);
  }

  private decode(logits: Float32Array, values: Float32Array, x: number, y: number, side: number): Detection[] {
    const { minScore, minSize, side: network } = this.facts;
    const least = Math.log(minScore / (1 - minScore));
    const found: Detection[] = [];
    for (let k = 0; k < logits.length; k++) {
      if (logits[k]! < least) continue;
      // offsets from the anchor in network pixels: box centre, box size, six key points
      const offset = (place: number) => (values[16 * k + place]! * side) / network;
      const [ax, ay] = [this.anchors[2 * k]! * side + x, this.anchors[2 * k + 1]! * side + y];
      const [width, height] = [offset(2), offset(3)];
      if (width < minSize || height <= 0) continue;
      const keypoints = Array.from({ length: 12 }, (_, place) => offset(4 + place) + (place % 2 === 0 ? ax : ay));
      const box: Box = [offset(0) + ax - width / 2, offset(1) + ay - height / 2, width, height];
      found.push({ box, score: 1 / (1 + Math.exp(-logits[k]!)), keypoints });
    }
    return found;
  }
}

/** What O-Net sees of a face: its upright box, columns first, and the mirror image (2, side, side, 3). */
export function onetInput(picture: Picture, face: Detection, { side, margin, lift }: Facts["onet"]): Float32Array {
  const upright = { ...face, keypoints: new Array<number>(12).fill(0) };
  const framing = { margin, lift, least: margin, boxPerEyes: 0, minSide: side, maxSide: side, replicate: false };
  const { rgb } = cropFace(picture, upright, framing);
  const values = new Float32Array(2 * rgb.length);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      for (let channel = 0; channel < 3; channel++) {
        const value = (rgb[3 * (y * side + x) + channel]! - 127.5) / 128;
        values[3 * (x * side + y) + channel] = value;
        values[rgb.length + 3 * ((side - 1 - x) * side + y) + channel] = value;
      }
    }
  }
  return values;
}

/** How likely the box holds a face, in [0, 1]. */
export async function faceLikelihood(picture: Picture, face: Detection, facts: Facts["onet"], network: Networks["onet"]): Promise<number> {
  const [there, mirrored] = await network(onetInput(picture, face, facts));
  return (there! + mirrored!) / 2;
}
