/** Pixels and affine maps: what Python's `warp_square` and image processor do with OpenCV and torch, to the same levels. */

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

/** Half the size by the mean of two by two pixels; an odd last line is left out, a side of one pixel stays. */
function halve(picture: Picture): Picture {
  const [stepX, stepY] = [Math.min(picture.width, 2), Math.min(picture.height, 2)];
  const [width, height] = [Math.floor(picture.width / stepX), Math.floor(picture.height / stepY)];
  const source = picture.data;
  const data = new Uint8Array(width * height * 4);
  const [right, down] = [4 * (stepX - 1), 4 * (stepY - 1) * picture.width];
  for (let y = 0, to = 0; y < height; y++) {
    let from = 4 * y * stepY * picture.width;
    for (let x = 0; x < width; x++, from += 4 * stepX, to += 4) {
      for (let c = 0; c < 3; c++) {
        const at = from + c;
        data[to + c] = (source[at]! + source[at + right]! + source[at + down]! + source[at + right + down]! + 2) >> 2;
      }
    }
  }
  return { data, width, height };
}

function cut(picture: Picture, left: number, top: number, right: number, bottom: number): Picture {
  const [width, height] = [right - left, bottom - top];
  if (width === picture.width && height === picture.height) return picture;
  const data = new Uint8Array(width * height * 4);
  for (let y = 0; y < height; y++) {
    const from = 4 * ((top + y) * picture.width + left);
    data.set(picture.data.subarray(from, from + 4 * width), 4 * y * width);
  }
  return { data, width, height };
}

/** The part that a strongly shrinking map will see, halved until the map shrinks it to half at most. */
function reduce(picture: Picture, matrix: Affine, size: number, shrink: number): [Picture, Affine] | null {
  const inverse = invert(matrix);
  const [low, high] = [-0.5, size - 0.5];
  const corners = [apply(inverse, low, low), apply(inverse, high, low), apply(inverse, low, high), apply(inverse, high, high)];
  const [xs, ys] = [corners.map((p) => p[0]), corners.map((p) => p[1])];
  const left = Math.max(Math.floor(Math.min(...xs)) - 1, 0);
  const top = Math.max(Math.floor(Math.min(...ys)) - 1, 0);
  const right = Math.min(Math.max(Math.ceil(Math.max(...xs)) + 1, 0), picture.width);
  const bottom = Math.min(Math.max(Math.ceil(Math.max(...ys)) + 1, 0), picture.height);
  if (left >= right || top >= bottom) return null;
  let part = cut(picture, left, top, right, bottom);
  let [fx, fy] = [1, 1];
  while (shrink > 2 * Math.max(fx, fy) && Math.max(part.width, part.height) >= 2) {
    [fx, fy] = [fx * Math.min(part.width, 2), fy * Math.min(part.height, 2)];
    part = halve(part);
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
  for (let y = 0, to = 0; y < size; y++) {
    const startX = roundEven((b * y + c) * 1024) + 16;
    const startY = roundEven((e * y + f) * 1024) + 16;
    for (let x = 0; x < size; x++, to += 3) {
      const [px, py] = [(startX + stepX[x]!) >> 5, (startY + stepY[x]!) >> 5];
      const [left, top, wx, wy] = [px >> 5, py >> 5, px & 31, py & 31];
      const weights = [(32 - wx) * (32 - wy), wx * (32 - wy), (32 - wx) * wy, wx * wy] as const;
      if (left >= 0 && top >= 0 && left + 1 < width && top + 1 < height) {
        const at = 4 * (top * width + left);
        const below = at + 4 * width;
        for (let k = 0; k < 3; k++) {
          const sum =
            data[at + k]! * weights[0] + data[at + 4 + k]! * weights[1] +
            data[below + k]! * weights[2] + data[below + 4 + k]! * weights[3];
          out[to + k] = (sum + 512) >> 10;
        }
      } else {
        atBorder(picture, left, top, weights, replicate, out, to);
      }
    }
  }
  return out;
}

function atBorder(
  { data, width, height }: Picture, left: number, top: number, weights: readonly number[], replicate: boolean,
  out: Uint8Array, to: number,
): void {
  for (let k = 0; k < 3; k++) {
    let sum = 512;
    for (let corner = 0; corner < 4; corner++) {
      let [x, y] = [left + (corner & 1), top + (corner >> 1)];
      if (replicate) {
        x = Math.min(Math.max(x, 0), width - 1);
        y = Math.min(Math.max(y, 0), height - 1);
      } else if (x < 0 || y < 0 || x >= width || y >= height) continue;
      sum += data[4 * (y * width + x) + k]! * weights[corner]!;
    }
    out[to + k] = sum >> 10;
  }
}

/** RGB bytes → ITU-R 601 luma, cut to whole levels as torchvision does. */
export function toGrey(rgb: Uint8Array): Uint8Array {
  const grey = new Uint8Array(rgb.length / 3);
  for (let i = 0, at = 0; i < grey.length; i++, at += 3) {
    // the small term keeps sums that are whole numbers whole, which float32 rounds up to
    grey[i] = 0.2989 * rgb[at]! + 0.587 * rgb[at + 1]! + 0.114 * rgb[at + 2]! + 1e-5;
  }
  return grey;
}

/** Bilinear resizing of a grey square with antialiasing, in two passes that round to whole levels, as torch's. */
export function resizeGrey(grey: Uint8Array, side: number, size: number): Uint8Array {
  if (side === size) return grey;
  const taps = triangleTaps(side, size);
  const across = new Uint8Array(side * size);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < size; x++) {
      const { start, weights } = taps[x]!;
      let sum = 0.5;
      for (let k = 0; k < weights.length; k++) sum += weights[k]! * grey[y * side + start + k]!;
      across[y * size + x] = sum;
    }
  }
  const out = new Uint8Array(size * size);
  for (let y = 0; y < size; y++) {
    const { start, weights } = taps[y]!;
    for (let x = 0; x < size; x++) {
      let sum = 0.5;
      for (let k = 0; k < weights.length; k++) sum += weights[k]! * across[(start + k) * size + x]!;
      out[y * size + x] = sum;
    }
  }
  return out;
}

interface Taps {
  start: number;
  weights: number[];
}

const tapsOfSide = new Map<number, Taps[]>();

/** For each of `size` places the pixels of a line of `side` that make it, with weights that sum to 1. */
function triangleTaps(side: number, size: number): Taps[] {
  const key = side * 4096 + size;
  let taps = tapsOfSide.get(key);
  if (taps === undefined) {
    const scale = side / size;
    const support = Math.max(scale, 1);
    taps = Array.from({ length: size }, (_, place) => {
      const centre = scale * (place + 0.5);
      const start = Math.max(Math.trunc(centre - support + 0.5), 0);
      const end = Math.min(Math.trunc(centre + support + 0.5), side);
      const raw = Array.from({ length: end - start }, (_, k) => Math.max(0, 1 - Math.abs((start + k - centre + 0.5) / support)));
      const sum = raw.reduce((total, weight) => total + weight, 0);
      return { start, weights: raw.map((weight) => weight / sum) };
    });
    tapsOfSide.set(key, taps);
  }
  return taps;
}
