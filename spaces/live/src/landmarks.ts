/** MediaPipe's face mesh of a detected face, and iBUG's 68 landmarks read off it, as `LandmarkDetector` in Python. */

import { roll, type Detection, type FaceNetwork } from "./detector";
import type { Facts } from "./facts";
import { apply, invert, levels, look, rotation, warpSquare, type Affine, type Picture } from "./pixels";

export const MESH_POINTS = 468;

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
