/** Faces followed from frame to frame: looked for near where they were, the rest searched by pieces, as `FaceTracker`. */

import type { Facts } from "./assets";
import type { Picture } from "./crop";
import { nonMaximumSuppression, overlap, windows, type Box, type Detection, type FaceDetector } from "./detector";
import type { LandmarkDetector, Landmarks } from "./landmarks";

/** Pieces of the frame that are searched with one frame at most, while somebody is in sight and while nobody is. */
const MOST_PIECES = { inSight: 1, empty: 2 };
/**
 * Seconds after which the detector looks near a person again. In between the face is where the landmarks went, which
 * shakes less than the detector's boxes; a slow machine's late frame is no reason to look anew, or it would stay slow.
 */
const DETECT_EVERY = 0.5;

/** Persons that are followed at most; then one comes in only who is this much larger than the smallest. */
export const MOST_FOLLOWED = 12;
const LARGER = 1.25;

/** A person in a frame; the number, from 1, stays the same while the person is in sight. */
export interface Sighting {
  person: number;
  detection: Detection;
  landmarks: Landmarks;
}

interface Track {
  person: number;
  detection: Detection;
  seen: number;
  landmarks: Landmarks | null;
  /** What the detector found, and when. */
  anchor: { detection: Detection; points: Float32Array; time: number } | null;
}

export class FaceTracker {
  private tracks: Track[] = [];
  private nextPerson = 1;
  private lastSearch = -Infinity;
  private place = 0;
  private lastTime = -Infinity;

  constructor(
    private readonly facts: Pick<Facts, "tracker" | "detector">,
    private readonly detector: FaceDetector,
    private readonly landmarks: LandmarkDetector,
  ) {}

  /** The persons seen in the next frame, at `time` in seconds, which must not fall. */
  async update(picture: Picture, time: number): Promise<Sighting[]> {
    const { keep } = this.facts.tracker;
    const { maxIou, maxInside } = this.facts.detector;
    const inSight = this.tracks.some((track) => track.seen === this.lastTime);
    this.tracks = this.tracks.filter((track) => time - track.seen <= keep);
    this.lastTime = time;
    const moved = new Map<Detection, Landmarks>();
    let found: Detection[] = [];
    for (const track of this.tracks) {
      const step = await this.move(picture, track, time);
      if (step === null) found.push(...(await this.detector.detectNear(picture, track.detection.box)));
      else {
        found.push(step.detection);
        moved.set(step.detection, step.landmarks);
      }
    }
    found = nonMaximumSuppression(found, [], maxIou, maxInside);
    found.push(...(await this.search(picture, time, found, inSight)));
    this.assignTo(found, time);
    const seen = this.tracks.filter((track) => track.seen === time);
    for (const track of seen) await this.locate(picture, track, moved.get(track.detection), time);
    return seen.map(({ person, detection, landmarks }) => ({ person, detection, landmarks: landmarks! }));
  }

  private async locate(picture: Picture, track: Track, moved: Landmarks | undefined, time: number): Promise<void> {
    track.landmarks = moved ?? (await this.landmarks.find(picture, track.detection));
    if (!moved) track.anchor = { detection: track.detection, points: track.landmarks.points, time };
  }

  /** Where the landmarks went, and the detection with them; null where the detector must look, as where no face is now. */
  private async move(picture: Picture, track: Track, time: number): Promise<{ detection: Detection; landmarks: Landmarks } | null> {
    if (track.anchor === null || time - track.anchor.time > DETECT_EVERY) return null;
    const landmarks = await this.landmarks.find(picture, track.detection);
    if (landmarks.sure <= this.facts.detector.present) return null;
    const [from, to] = this.facts.tracker.rigid.map((place) => 2 * place);
    const detection = moveDetection(
      track.anchor.detection, track.anchor.points.subarray(from, to), landmarks.points.subarray(from, to),
    );
    return { detection, landmarks };
  }

  /**
   * Look for further faces, a few pieces a frame. Unlike in Python, where a file's frames can wait, a slow machine takes
   * longer to look everywhere, and while nobody is in sight the whole frame is looked at with every frame's pieces.
   */
  private search(picture: Picture, time: number, known: Detection[], inSight: boolean): Promise<Detection[]> {
    const [whole, ...tiles] = windows(picture.height, picture.width, this.facts.detector.tileScales, this.facts.detector.minTile);
    const all = [whole!, ...tiles];
    const due = Math.max(0, time - this.lastSearch) * (all.length / this.facts.tracker.searchEvery);
    const count = inSight ? Math.min(MOST_PIECES.inSight, Math.floor(due)) : MOST_PIECES.empty;
    if (count === 0) return Promise.resolve([]);
    this.lastSearch = time;
    const pieces = Array.from({ length: Math.min(count, all.length) }, (_, k) => all[(this.place + k) % all.length]!);
    this.place = (this.place + count) % all.length;
    return this.detector.search(picture, inSight ? pieces : [whole!, ...pieces], known);
  }

  private assignTo(found: Detection[], time: number): void {
    const boxes = (all: { box: Box }[]) => all.map(({ box }) => box);
    const pairs = match(boxes(this.tracks.map((track) => track.detection)), boxes(found), this.facts.tracker.minGiou);
    for (const [row, column] of pairs) {
      this.tracks[row]!.detection = found[column]!;
      this.tracks[row]!.seen = time;
    }
    const taken = new Set(pairs.map(([, column]) => column));
    const unknown = found.filter((_, column) => !taken.has(column)).sort((a, b) => b.box[2] - a.box[2]);
    const fresh = unknown.splice(0, Math.max(0, MOST_FOLLOWED - this.tracks.length));
    for (const detection of unknown) {
      const widths = this.tracks.map((track) => track.detection.box[2]);
      const least = Math.min(...widths);
      if (detection.box[2] < LARGER * least) break;
      this.tracks.splice(widths.indexOf(least), 1);
      fresh.push(detection);
    }
    for (const detection of fresh.sort((a, b) => a.box[0] - b.box[0])) {
      this.tracks.push({ person: this.nextPerson++, detection, seen: time, landmarks: null, anchor: null });
    }
  }
}

/** The detection moved as points (x, y, …) moved: turned, scaled and shifted by the least-squares similarity. */
export function moveDetection(detection: Detection, old: ArrayLike<number>, now: ArrayLike<number>): Detection {
  const count = old.length / 2;
  const mean = (points: ArrayLike<number>, axis: number) => {
    let sum = 0;
    for (let k = axis; k < points.length; k += 2) sum += points[k]!;
    return sum / count;
  };
  const [zx, zy, wx, wy] = [mean(old, 0), mean(old, 1), mean(now, 0), mean(now, 1)];
  let [real, imaginary, norm] = [0, 0, 0];
  for (let k = 0; k < old.length; k += 2) {
    const [x, y, u, v] = [old[k]! - zx, old[k + 1]! - zy, now[k]! - wx, now[k + 1]! - wy];
    real += x * u + y * v;
    imaginary += x * v - y * u;
    norm += x * x + y * y;
  }
  const [a, b] = [real / norm, imaginary / norm];
  const move = (x: number, y: number): [number, number] => [a * (x - zx) - b * (y - zy) + wx, b * (x - zx) + a * (y - zy) + wy];
  const [x, y, width, height] = detection.box;
  const [cx, cy] = move(x + width / 2, y + height / 2);
  const scale = Math.hypot(a, b);
  const keypoints: number[] = [];
  for (let k = 0; k < detection.keypoints.length; k += 2) keypoints.push(...move(detection.keypoints[k]!, detection.keypoints[k + 1]!));
  return {
    box: [cx - (width * scale) / 2, cy - (height * scale) / 2, width * scale, height * scale],
    score: detection.score,
    keypoints,
  };
}

/** IoU minus the share of the hull of both boxes that neither covers; from −1 (far apart) to 1 (the same). */
export function generalisedIou(a: Box, b: Box): number {
  const { iou } = overlap(a, b);
  const hull =
    (Math.max(a[0] + a[2], b[0] + b[2]) - Math.min(a[0], b[0])) *
    (Math.max(a[1] + a[3], b[1] + b[3]) - Math.min(a[1], b[1]));
  const union = (a[2] * a[3] + b[2] * b[3]) / (1 + iou);
  return iou - (hull - union) / Math.max(hull, 1e-9);
}

/** Index pairs (old, new) of the assignment with the largest sum of generalised IoUs, each at least `minGiou`. */
export function match(old: Box[], now: Box[], minGiou: number): [number, number][] {
  if (old.length === 0 || now.length === 0) return [];
  // forbidden pairs all cost the same: else good pairs would be spoilt to make a hopeless one less bad
  const values = old.map((a) => now.map((b) => generalisedIou(a, b))).map((row) => row.map((v) => (v >= minGiou ? v : -2)));
  return assign(values.map((row) => row.map((value) => -value))).filter(([row, column]) => values[row]![column]! > -2);
}

/** Index pairs (row, column) of least total cost, by the Hungarian method with potentials (Kuhn 1955, Jonker 1987). */
export function assign(costs: number[][]): [number, number][] {
  if (costs.length > costs[0]!.length) {
    const turned = costs[0]!.map((_, column) => costs.map((row) => row[column]!));
    return assign(turned).map(([a, b]) => [b, a] as [number, number]).sort((a, b) => a[0] - b[0]);
  }
  const [rows, columns] = [costs.length, costs[0]!.length];
  const u = new Float64Array(rows + 1);
  const v = new Float64Array(columns + 1);
  const rowOf = new Int32Array(columns + 1); // counted from 1; 0 for none
  for (let row = 1; row <= rows; row++) {
    const way = new Int32Array(columns + 1);
    const least = new Float64Array(columns + 1).fill(Infinity);
    const used = new Uint8Array(columns + 1);
    rowOf[0] = row;
    let column = 0;
    while (rowOf[column] !== 0) {
      used[column] = 1;
      const current = rowOf[column]!;
      let [delta, next] = [Infinity, 0];
      for (let j = 1; j <= columns; j++) {
        if (used[j]) continue;
        const cost = costs[current - 1]![j - 1]! - u[current]! - v[j]!;
        if (cost < least[j]!) {
          least[j] = cost;
          way[j] = column;
        }
        if (least[j]! < delta) [delta, next] = [least[j]!, j];
      }
      for (let j = 0; j <= columns; j++) {
        if (used[j]) {
          u[rowOf[j]!]! += delta;
          v[j]! -= delta;
        } else least[j]! -= delta;
      }
      column = next;
    }
    for (; column !== 0; column = way[column]!) rowOf[column] = rowOf[way[column]!]!;
  }
  const pairs: [number, number][] = [];
  for (let j = 1; j <= columns; j++) if (rowOf[j] !== 0) pairs.push([rowOf[j]! - 1, j - 1]);
  return pairs.sort((a, b) => a[0] - b[0]);
}
