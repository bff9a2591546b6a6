/** MediaPipe's face mesh of a detected face, iBUG's 68 landmarks read off it, and what the face does. */

import type { Facts } from "./assets";
import { apply, invert, levels, look, roll, rotation, warpSquare, type Affine, type Picture } from "./crop";
import type { Detection, FaceNetwork } from "./detector";
import resting from "./resting.json";

const MESH_POINTS = 468;

/** `points` are x, y of the 68; `mesh` x, y, z of the 468, all in pixels of the picture; `sure` in [0, 1]. */
export interface Landmarks {
  points: Float32Array;
  mesh: Float32Array;
  sure: number;
}

/** Map from the picture to the network's square: centred, level eyes, with margin. */
export function meshTransform(face: Detection, facts: Facts["mesh"]): Affine {
  const [x, y, width, height] = face.box;
  const scale = facts.side / (facts.margin * Math.max(width, height));
  return rotation(x + width / 2, y + height / 2, roll(face), scale, (facts.side - 1) / 2);
}

const INPUT = levels((level) => level / 255);

export class LandmarkDetector {
  private readonly input: Float32Array;

  constructor(
    private readonly facts: Facts["mesh"],
    private readonly network: FaceNetwork,
  ) {
    this.input = new Float32Array(3 * facts.side ** 2);
  }

  async find(picture: Picture, face: Detection): Promise<Landmarks> {
    const matrix = meshTransform(face, this.facts);
    const rgb = warpSquare(picture, matrix, this.facts.side);
    const [raw, presence] = await this.network(look(rgb, INPUT, this.input));
    const sure = 1 / (1 + Math.exp(-Math.min(Math.max(presence![0]!, -80), 80)));
    const inverse = invert(matrix);
    const scale = Math.hypot(inverse[0], inverse[1]);
    const mesh = new Float32Array(3 * MESH_POINTS);
    for (let k = 0; k < 3 * MESH_POINTS; k += 3) {
      [mesh[k], mesh[k + 1]] = apply(inverse, raw![k]!, raw![k + 1]!);
      mesh[k + 2] = scale * raw![k + 2]!;
    }
    return { points: this.to68(mesh), mesh, sure };
  }

  private to68(mesh: Float32Array): Float32Array {
    const points = new Float32Array(136);
    this.facts.to68.forEach(([a, b], k) => {
      points[2 * k] = (mesh[3 * a]! + mesh[3 * b]!) / 2;
      points[2 * k + 1] = (mesh[3 * a + 1]! + mesh[3 * b + 1]!) / 2;
    });
    return points;
  }
}

/**
 * A movement in the words of the Facial Action Coding System (Ekman and Friesen 1978): a measure far enough from rest,
 * taken in the head's own frame, so that a turned or nodding head changes little. The network does not see it.
 * `value` and `rest` are in % of the distance between the eyes.
 */
interface Action {
  text: string;
  units: string;
  value: number;
  rest: number;
  /** How many standard deviations of resting faces it lies from rest. */
  deviations: number;
  /** Whether it belongs to the expression's prototype. */
  fits: boolean;
}

interface Measure {
  name: string;
  more: [text: string, units: string] | null;
  less: [text: string, units: string] | null;
  take: (v: (...points: number[]) => number, u: (...points: number[]) => number) => number;
}

// Mesh points; v is the mean height of some of them below the eyes' middle, u how far to the person's left.
export const MEASURES: Measure[] = [
  {
    name: "lip corners", more: ["lip corners up", "AU 12"], less: ["lip corners down", "AU 15"],
    take: (v) => v(13, 14) - v(61, 291),
  },
  { name: "mouth width", more: ["mouth stretched", "AU 12, 20"], less: ["lips drawn in", "AU 18"], take: (_, u) => u(291) - u(61) },
  { name: "lip gap", more: ["lips parted", "AU 25, 26"], less: null, take: (v) => v(14) - v(13) },
  { name: "chin", more: ["jaw dropped", "AU 26, 27"], less: null, take: (v) => v(152) - v(2) },
  { name: "upper lip", more: null, less: ["upper lip raised", "AU 10"], take: (v) => v(0, 37, 267) - v(2) },
  { name: "inner brows", more: ["inner brows raised", "AU 1"], less: ["brows lowered", "AU 4"], take: (v) => v(133, 362) - v(107, 336) },
  { name: "outer brows", more: ["outer brows raised", "AU 2"], less: null, take: (v) => v(33, 263) - v(105, 334) },
  { name: "brow gap", more: null, less: ["brows drawn together", "AU 4"], take: (_, u) => u(336) - u(107) },
  { name: "eyes", more: ["eyes wide open", "AU 5"], less: ["eyes narrowed", "AU 6, 7"], take: (v) => v(145, 374) - v(159, 386) },
  { name: "cheeks", more: null, less: ["cheeks raised", "AU 6"], take: (v) => v(205, 425) - v(145, 374) },
  { name: "nose", more: null, less: ["nose wrinkled", "AU 9"], take: (v) => v(48, 278) - v(133, 362) },
];

/** Prototypes after EMFACS (Friesen and Ekman 1983), as in `regions.py`. */
const PROTOTYPES: Record<string, number[]> = {
  happiness: [6, 12], surprise: [1, 2, 5, 25, 26, 27], sadness: [1, 4, 15], anger: [4, 5, 7, 23],
  disgust: [9, 10, 15, 17], fear: [1, 2, 4, 5, 7, 20, 25, 26],
};

/** Deviations from which a measure is named. */
const NOTABLE = 1.5;

/** The measures of a mesh (x, y, z of 468 points) in % of the distance between the eyes, in the order of `MEASURES`. */
export function measure(mesh: Float32Array): number[] {
  if (mesh.length !== 3 * MESH_POINTS) throw new Error(`expected ${3 * MESH_POINTS} numbers; got ${mesh.length}`);
  const mean = (points: number[]) => [0, 1, 2].map((axis) => points.reduce((sum, p) => sum + mesh[3 * p + axis]!, 0) / points.length);
  const [right, left, bridge, base] = [mean([33, 133]), mean([362, 263]), mean([168]), mean([2])] as [number[], number[], number[], number[]];
  const across = minus(left, right);
  const unit = Math.hypot(...across);
  const x = across.map((value) => value / unit);
  const down = minus(base, bridge);
  const slope = dot(down, x);
  const upright = down.map((value, axis) => value - slope * x[axis]!);
  const y = upright.map((value) => value / Math.hypot(...upright));
  const middle = left.map((value, axis) => (value + right[axis]!) / 2);
  const along = (axis: number[]) => (...points: number[]) => (100 * dot(minus(mean(points), middle), axis)) / unit;
  return MEASURES.map(({ take }) => take(along(y), along(x)));
}

const minus = (a: number[], b: number[]) => a.map((value, axis) => value - b[axis]!);
const dot = (a: number[], b: number[]) => a.reduce((sum, value, axis) => sum + value * b[axis]!, 0);

/** How far the head is turned to a side, as the share by which one half of the face looks narrower; 0 is straight. */
export function turned(mesh: Float32Array): number {
  const x = (point: number) => [mesh[3 * point]!, mesh[3 * point + 1]!] as const;
  const gap = (a: number, b: number) => Math.hypot(x(a)[0] - x(b)[0], x(a)[1] - x(b)[1]);
  const [right, left] = [gap(4, 234), gap(4, 454)];
  return 1 - Math.min(right, left) / Math.max(right, left);
}

/** The actions that stand out, those of the expression first; `rest` are the visitor's own measures at rest, if set. */
export function actions(measures: number[], emotion: string, rest: number[] | null): Action[] {
  const prototype = PROTOTYPES[emotion] ?? [];
  const found: Action[] = [];
  MEASURES.forEach(({ name, more, less }, k) => {
    const { mean, deviation } = resting.measures[name as keyof typeof resting.measures];
    const from = rest?.[k] ?? mean;
    const deviations = (measures[k]! - from) / deviation;
    const word = deviations > 0 ? more : less;
    if (word === null || Math.abs(deviations) < NOTABLE) return;
    const fits = (word[1].match(/\d+/g) ?? []).some((unit) => prototype.includes(Number(unit)));
    found.push({ text: word[0], units: word[1], value: measures[k]!, rest: from, deviations, fits });
  });
  return found.sort((a, b) => Number(b.fits) - Number(a.fits) || Math.abs(b.deviations) - Math.abs(a.deviations));
}

/** Faces at rest that the means and deviations were measured on. */
export const RESTING_FACES: number = resting.faces;
