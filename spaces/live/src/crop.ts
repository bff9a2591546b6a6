/** Pixels, affine maps, and the aligned crop that the network sees: what Python does with OpenCV and torch, to the same levels. */

import type { Facts } from "./assets";
import type { Detection } from "./detector";

/** Interleaved RGBA bytes, as a canvas gives them. */
export interface Picture {
  data: Uint8ClampedArray | Uint8Array;
  width: number;
  height: number;
}

/** Row-major 2×3 map from a picture's pixel (x, y, 1) to another's. Pixel centres are at whole numbers. */
export type Affine = [number, number, number, number, number, number];

export function invert([a, b, c, d, e, f]: Affine): Affine {
  const scale = 1 / (a * e - b * d);
  const [ia, ib, id, ie] = [e * scale, -b * scale, -d * scale, a * scale];
  return [ia, ib, -ia * c - ib * f, id, ie, -id * c - ie * f];
}

export function apply([a, b, c, d, e, f]: Affine, x: number, y: number): [number, number] {
  return [a * x + b * y + c, d * x + e * y + f];
}

/** Turn by `angle` (radians, as OpenCV's getRotationMatrix2D) and scale about a centre that lands at `target`. */
export function rotation(x: number, y: number, angle: number, scale: number, target: number): Affine {
  const [a, b] = [scale * Math.cos(angle), scale * Math.sin(angle)];
  return [a, b, target - a * x - b * y, -b, a, target + b * x - a * y];
}

/** Round to the nearest whole number, halves to the even one, as Python and NumPy do. */
export function roundEven(value: number): number {
  const down = Math.floor(value);
  const rest = value - down;
  if (rest !== 0.5) return Math.round(value);
  return down % 2 === 0 ? down : down + 1;
}

/**
 * A part of a picture at half the size, by the mean of two by two pixels; an odd last line is left out, a side of one
 * pixel stays. Four bytes at once: the sums of four levels fit into 16 bits.
 */
function halve({ data, width }: Picture, left: number, top: number, wide: number, high: number): Picture {
  const source = new Uint32Array(data.buffer, data.byteOffset, data.length >> 2);
  const [right, down] = [Math.min(wide, 2) - 1, (Math.min(high, 2) - 1) * width];
  const [halfWide, halfHigh] = [wide >> right, high >> (down ? 1 : 0)];
  const half = new Uint32Array(halfWide * halfHigh);
  const [stepX, stepY] = [right + 1, down ? 2 * width : width];
  for (let y = 0, to = 0; y < halfHigh; y++) {
    let from = top * width + left + y * stepY;
    for (let x = 0; x < halfWide; x++, from += stepX) {
      const p = source[from]!;
      const q = source[from + right]!;
      const r = source[from + down]!;
      const s = source[from + right + down]!;
      const even = (p & 0xff00ff) + (q & 0xff00ff) + (r & 0xff00ff) + (s & 0xff00ff) + 0x20002;
      const odd = ((p >>> 8) & 0xff00ff) + ((q >>> 8) & 0xff00ff) + ((r >>> 8) & 0xff00ff) + ((s >>> 8) & 0xff00ff) + 0x20002;
      half[to++] = ((even >>> 2) & 0xff00ff) | (((odd >>> 2) & 0xff00ff) << 8);
    }
  }
  return { data: new Uint8Array(half.buffer), width: halfWide, height: halfHigh };
}

/** The part that a map which shrinks to less than half will see, halved until the map shrinks it to half at most. */
function reduce(picture: Picture, matrix: Affine, size: number, shrink: number): [Picture, Affine] | null {
  const inverse = invert(matrix);
  const ends = [-0.5, size - 0.5];
  const corners = ends.flatMap((x) => ends.map((y) => apply(inverse, x, y)));
  const [xs, ys] = [corners.map((p) => p[0]), corners.map((p) => p[1])];
  const left = Math.max(Math.floor(Math.min(...xs)) - 1, 0);
  const top = Math.max(Math.floor(Math.min(...ys)) - 1, 0);
  const right = Math.min(Math.max(Math.ceil(Math.max(...xs)) + 1, 0), picture.width);
  const bottom = Math.min(Math.max(Math.ceil(Math.max(...ys)) + 1, 0), picture.height);
  if (left >= right || top >= bottom) return null;
  let [wide, high] = [right - left, bottom - top];
  let part = halve(picture, left, top, wide, high);
  let [fx, fy] = [Math.min(wide, 2), Math.min(high, 2)];
  while (shrink > 2 * Math.max(fx, fy) && Math.max(part.width, part.height) >= 2) {
    [wide, high] = [part.width, part.height];
    [fx, fy] = [fx * Math.min(wide, 2), fy * Math.min(high, 2)];
    part = halve(part, 0, 0, wide, high);
  }
  const [ox, oy] = [left + (fx - 1) / 2, top + (fy - 1) / 2];
  const [a, b, c, d, e, f] = matrix;
  return [part, [a * fx, b * fy, a * ox + b * oy + c, d * fx, e * fy, d * ox + e * oy + f]];
}

/**
 * Affine warp to RGB bytes (size, size, 3) with bilinear weights; averages where it shrinks. Beyond the border the
 * picture is black, or repeats its last pixels. OpenCV's arithmetic: places in steps of 1/32 pixel.
 */
export function warpSquare(picture: Picture, matrix: Affine, size: number, replicate = false): Uint8Array {
  const shrink = 1 / Math.hypot(matrix[0], matrix[1]);
  if (shrink > 2) {
    const reduced = reduce(picture, matrix, size, shrink);
    if (reduced === null) return new Uint8Array(size * size * 3);
    [picture, matrix] = reduced;
  }
  const { data, width, height } = picture;
  const [a, b, c, d, e, f] = invert(matrix);
  const out = new Uint8Array(size * size * 3);
  const stepX = Int32Array.from({ length: size }, (_, x) => roundEven(a * x * 1024));
  const stepY = Int32Array.from({ length: size }, (_, x) => roundEven(d * x * 1024));
  const [lastX, lastY] = [width - 1, height - 1];
  for (let y = 0, to = 0; y < size; y++) {
    const startX = roundEven((b * y + c) * 1024) + 16;
    const startY = roundEven((e * y + f) * 1024) + 16;
    for (let x = 0; x < size; x++, to += 3) {
      const px = (startX + stepX[x]!) >> 5;
      const py = (startY + stepY[x]!) >> 5;
      const left = px >> 5;
      const top = py >> 5;
      if (left < 0 || top < 0 || left >= lastX || top >= lastY) {
        if (replicate || (left >= -1 && top >= -1 && left < width && top < height)) atBorder(picture, px, py, replicate, out, to);
        continue;
      }
      const wx = px & 31;
      const wy = py & 31;
      const s = wx * wy;
      const q = 32 * wx - s;
      const r = 32 * wy - s;
      const p = 1024 - q - r - s;
      const above = 4 * (top * width + left);
      const below = above + 4 * width;
      out[to] = (data[above]! * p + data[above + 4]! * q + data[below]! * r + data[below + 4]! * s + 512) >> 10;
      out[to + 1] = (data[above + 1]! * p + data[above + 5]! * q + data[below + 1]! * r + data[below + 5]! * s + 512) >> 10;
      out[to + 2] = (data[above + 2]! * p + data[above + 6]! * q + data[below + 2]! * r + data[below + 6]! * s + 512) >> 10;
    }
  }
  return out;
}

/** One pixel of a warp whose four neighbours are not all in the picture; its place in steps of 1/32 pixel. */
function atBorder({ data, width, height }: Picture, px: number, py: number, replicate: boolean, out: Uint8Array, to: number): void {
  const [left, top, wx, wy] = [px >> 5, py >> 5, px & 31, py & 31];
  for (let k = 0; k < 3; k++) {
    let sum = 512;
    for (let corner = 0; corner < 4; corner++) {
      const [right, down] = [corner & 1, corner >> 1];
      let [x, y] = [left + right, top + down];
      if (replicate) {
        x = Math.min(Math.max(x, 0), width - 1);
        y = Math.min(Math.max(y, 0), height - 1);
      } else if (x < 0 || y < 0 || x >= width || y >= height) continue;
      sum += data[4 * (y * width + x) + k]! * (right ? wx : 32 - wx) * (down ? wy : 32 - wy);
    }
    out[to + k] = sum >> 10;
  }
}

/** For each of the 256 levels of a byte the number that a network takes for it. */
export function levels(value: (level: number) => number): Float32Array {
  return Float32Array.from({ length: 256 }, (_, level) => value(level));
}

/** Bytes as those numbers, written to `out`. */
export function look(bytes: Uint8Array, table: Float32Array, out: Float32Array, from = 0): Float32Array {
  for (let k = 0; k < bytes.length; k++) out[from + k] = table[bytes[k]!]!;
  return out;
}

const [RED, GREEN, BLUE] = [Math.fround(0.2989), Math.fround(0.587), Math.fround(0.114)];

/** RGB bytes → ITU-R 601 luma, cut to whole levels and rounded to float32 after each channel, as torchvision does. */
function toGrey(rgb: Uint8Array): Uint8Array {
  const grey = new Uint8Array(rgb.length / 3);
  for (let i = 0, at = 0; i < grey.length; i++, at += 3) {
    grey[i] = Math.fround(Math.fround(Math.fround(rgb[at]! * RED) + rgb[at + 1]! * GREEN) + rgb[at + 2]! * BLUE);
  }
  return grey;
}

/** Bilinear resizing of a grey square with antialiasing, in two passes that round to whole levels, as torch's. */
function resizeGrey(grey: Uint8Array, side: number, size: number): Uint8Array {
  if (side === size) return grey;
  const { taps, one } = triangleTaps(side, size);
  const across = new Uint8Array(side * size);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < size; x++) {
      const { start, weights } = taps[x]!;
      let sum = one / 2;
      for (let k = 0; k < weights.length; k++) sum += weights[k]! * grey[y * side + start + k]!;
      across[y * size + x] = Math.min(sum / one, 255);
    }
  }
  const out = new Uint8Array(size * size);
  for (let y = 0; y < size; y++) {
    const { start, weights } = taps[y]!;
    for (let x = 0; x < size; x++) {
      let sum = one / 2;
      for (let k = 0; k < weights.length; k++) sum += weights[k]! * across[(start + k) * size + x]!;
      out[y * size + x] = Math.min(sum / one, 255);
    }
  }
  return out;
}

/** Of each place the pixels of a line that make it, with weights in whole numbers, of which `one` stands for 1. */
interface Taps {
  taps: { start: number; weights: number[] }[];
  one: number;
}

const tapsOfSide = new Map<number, Taps>();

/** Triangles as wide as the step between two places, in torch's fixed point: the largest weight just fits 16 bits. */
function triangleTaps(side: number, size: number): Taps {
  const key = side * 4096 + size;
  let taps = tapsOfSide.get(key);
  if (taps === undefined) {
    const scale = side / size;
    const support = Math.max(scale, 1);
    const shares = Array.from({ length: size }, (_, place) => {
      const centre = scale * (place + 0.5);
      const start = Math.max(Math.trunc(centre - support + 0.5), 0);
      const end = Math.min(Math.trunc(centre + support + 0.5), side);
      const raw = Array.from({ length: end - start }, (_, k) => Math.max(0, 1 - Math.abs((start + k - centre + 0.5) / support)));
      const sum = raw.reduce((total, weight) => total + weight, 0);
      return { start, weights: raw.map((weight) => weight / sum) };
    });
    const most = Math.max(...shares.flatMap(({ weights }) => weights));
    let one = 1;
    while (one < 2 ** 22 && Math.trunc(0.5 + most * 2 * one) < 2 ** 15) one *= 2;
    const whole = shares.map(({ start, weights }) => ({ start, weights: weights.map((weight) => Math.floor(0.5 + weight * one)) }));
    taps = { taps: whole, one };
    tapsOfSide.set(key, taps);
  }
  return taps;
}

/** RGB bytes (side, side, 3), and the map from the picture to them. */
export interface Crop {
  rgb: Uint8Array;
  side: number;
  matrix: Affine;
}

export function cropFace(picture: Picture, face: Detection, facts: Facts["crop"]): Crop {
  const [x, y, width, height] = face.box;
  const [rx, ry, lx, ly] = face.keypoints as [number, number, number, number];
  const angle = roll(face);
  // the box of a tilted head comes out too small; its eyes tell
  const span = Math.max(width, height, facts.boxPerEyes * Math.hypot(lx - rx, ly - ry));
  const wanted = facts.margin * span;
  const up = facts.lift * wanted;
  const [cx, cy] = [x + width / 2 + up * Math.sin(angle), y + height / 2 - up * Math.cos(angle)];
  // where the photo ends before the margin does, the crop shrinks about its centre, down to `least` times the box
  const room = roomAt(cx, cy, angle, picture);
  const square = Math.min(Math.max(room, Math.min(facts.least, facts.margin) * span), wanted);
  const side = Math.min(Math.max(roundEven(square), facts.minSide), facts.maxSide);
  const matrix = rotation(cx, cy, angle, side / square, (side - 1) / 2);
  return { rgb: warpSquare(picture, matrix, side, facts.replicate), side, matrix };
}

/** Angle in radians by which the line through the eyes is turned clockwise. */
export function roll({ keypoints: [rx, ry, lx, ly] }: Detection): number {
  return Math.atan2(ly! - ry!, lx! - rx!);
}

/** Side of the largest square about a place, turned by `angle`, in the picture. */
function roomAt(x: number, y: number, angle: number, { width, height }: Picture): number {
  return (2 * Math.min(x, y, width - x, height - y)) / (Math.abs(Math.cos(angle)) + Math.abs(Math.sin(angle)));
}

/** The network's input (3, size, size): grey, resized, scaled to [0, 1], normalised. */
export function pixelValues({ rgb, side }: Crop, facts: Facts["network"]): Float32Array {
  const size = facts.imageSize;
  const grey = resizeGrey(toGrey(rgb), side, size);
  const values = new Float32Array(3 * size * size);
  for (let channel = 0; channel < 3; channel++) {
    const [mean, std] = [facts.mean[channel]!, facts.std[channel]!];
    look(grey, levels((level) => (level / 255 - mean) / std), values, channel * grey.length);
  }
  return values;
}

/** The mirror image of the network's input. */
export function flipped(values: Float32Array, size: number): Float32Array {
  return values.map((_, k) => values[k - (k % size) + size - 1 - (k % size)]!);
}
