/** Faces in a picture: BlazeFace on the whole of it and on overlapping tiles, as `FaceDetector` in Python. */

import { nonMaximumSuppression, type Box } from "./boxes";
import type { Facts } from "./facts";
import { levels, look, roundEven, warpSquare, type Affine, type Picture } from "./pixels";

/** `keypoints` are x, y of right eye, left eye, nose tip, mouth, right and left ear, in pixels of the picture. */
export interface Detection {
  box: Box;
  score: number;
  keypoints: number[];
}

/** A square (x, y, side) of the picture. */
export type Square = [number, number, number];

/** RGB floats of a square → outputs in the order of the names that the network was loaded with. */
export type FaceNetwork = (pixels: Float32Array) => Promise<Float32Array[]>;

/** Angle in radians by which the line through the eyes is turned clockwise. */
export function roll({ keypoints: [rx, ry, lx, ly] }: Detection): number {
  return Math.atan2(ly! - ry!, lx! - rx!);
}

/** Centres of BlazeFace's 896 anchors in [0, 1]: two per cell of 16×16, six per cell of 8×8. */
export function anchors(): Float32Array {
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
