/** The whole path in the worker: picture → faces → crops → scores, for photos and for the frames of a camera. */

import { cropFace, flipped, pixelValues } from "./crop";
import { FaceDetector, type Detection } from "./detector";
import type { Facts } from "./facts";
import { LandmarkDetector } from "./landmarks";
import { softmax, type Networks } from "./networks";
import { explain, type Why } from "./occlusion";
import { faceLikelihood } from "./onet";
import type { Picture } from "./pixels";
import { FaceTracker, type Sighting } from "./tracker";

/** One face: `keypoints` as in `Detection`, `points` and `mesh` as in `Landmarks`; `scores` sum to 1, by emotion. */
export interface Face {
  person: number;
  box: [number, number, number, number];
  sure: number;
  keypoints: number[];
  scores: number[];
  points: Float32Array;
  mesh: Float32Array;
}

/** Milliseconds of the stages of one picture. */
export interface Timing {
  faces: number;
  scores: number;
}

const BATCH = 8;

export class Reader {
  private readonly landmarks: LandmarkDetector;
  private readonly detector: FaceDetector;
  private tracker: FaceTracker;
  private last: { picture: Picture; seen: Sighting[] } | null = null;

  constructor(
    private readonly facts: Facts,
    private readonly networks: Networks,
  ) {
    this.landmarks = new LandmarkDetector(facts.mesh, networks.mesh);
    const { present, likely } = facts.detector;
    const confirm = async (picture: Picture, face: Detection) =>
      (await this.landmarks.find(picture, face)).sure > present ||
      (await faceLikelihood(picture, face, facts.onet, networks.onet)) > likely;
    this.detector = new FaceDetector(facts.detector, networks.detector, confirm);
    this.tracker = new FaceTracker(facts, this.detector, this.landmarks);
  }

  /** Forget whom the camera saw. */
  reset(): void {
    this.tracker = new FaceTracker(this.facts, this.detector, this.landmarks);
    this.last = null;
  }

  /** All faces of a photo, the largest first, numbered from 1. */
  async readPhoto(picture: Picture): Promise<{ faces: Face[]; timing: Timing }> {
    const start = performance.now();
    const found = (await this.detector.detect(picture)).sort((a, b) => b.box[2] - a.box[2]);
    const seen: Sighting[] = [];
    for (const [k, detection] of found.entries()) {
      seen.push({ person: k + 1, detection, landmarks: await this.landmarks.find(picture, detection) });
    }
    return this.score(picture, seen, start, this.facts.network.flip);
  }

  /** The persons of a camera's next frame, the largest first. */
  async readFrame(picture: Picture, time: number): Promise<{ faces: Face[]; timing: Timing }> {
    const start = performance.now();
    const seen = await this.tracker.update(picture, time);
    const largest = seen.sort((a, b) => b.detection.box[2] - a.detection.box[2]);
    return this.score(picture, largest, start, false);
  }

  /** With `flip` the logits are averaged over each crop and its mirror image. */
  private async score(
    picture: Picture, seen: Sighting[], start: number, flip: boolean,
  ): Promise<{ faces: Face[]; timing: Timing }> {
    const found = performance.now();
    const scores: number[][] = [];
    for (let first = 0; first < seen.length; first += BATCH) {
      const batch = seen.slice(first, first + BATCH);
      const values = batch.map(({ detection }) => pixelValues(cropFace(picture, detection, this.facts.crop), this.facts.network));
      const logits = await this.networks.expressions(values);
      if (flip) {
        const mirrored = await this.networks.expressions(values.map((one) => flipped(one, this.facts.network.imageSize)));
        logits.forEach((row, k) => row.forEach((logit, label) => (row[label] = (logit + mirrored[k]![label]!) / 2)));
      }
      scores.push(...logits.map(softmax));
    }
    this.last = { picture, seen };
    const faces = seen.map(({ person, detection, landmarks }, k) => ({
      person, box: detection.box, sure: detection.score, keypoints: detection.keypoints, scores: scores[k]!,
      points: landmarks.points, mesh: landmarks.mesh,
    }));
    return { faces, timing: { faces: found - start, scores: performance.now() - found } };
  }

  /** Why a person of the last picture got the highest score; null if that person is not in it. */
  async why(person: number): Promise<Why | null> {
    const sighting = this.last?.seen.find((one) => one.person === person);
    if (!sighting) return null;
    const crop = cropFace(this.last!.picture, sighting.detection, this.facts.crop);
    return explain(crop, sighting.landmarks.points, this.facts, this.networks.expressions);
  }
}
