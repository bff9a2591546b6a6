/** The page's arithmetic beside the Python package's, on vectors that `tests/live/test_live.py` writes. */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { cropFace, pixelValues, rotation, warpSquare, type Picture } from "../src/crop";
import { FaceDetector, nonMaximumSuppression, onetInput, windows, type Box } from "../src/detector";
import { meshTransform } from "../src/landmarks";
import { ScoreSmoother } from "../src/people";
import { assign, FaceTracker, generalisedIou, match, MOST_FOLLOWED, moveDetection } from "../src/tracker";

const file = process.env.GIMEFIVE_VECTORS;
if (!file) throw new Error("GIMEFIVE_VECTORS names no file; run the tests by pytest tests/live/test_live.py");
const vectors = JSON.parse(readFileSync(file, "utf8"));
const { facts } = vectors;

function picture({ width, height, rgb }: { width: number; height: number; rgb: number[] }): Picture {
  const data = new Uint8Array(4 * width * height);
  for (let k = 0; k < width * height; k++) for (let c = 0; c < 3; c++) data[4 * k + c] = rgb[3 * k + c]!;
  return { data, width, height };
}

function furthest(ours: ArrayLike<number>, theirs: ArrayLike<number>): number {
  expect(ours.length).toBe(theirs.length);
  let most = 0;
  for (let k = 0; k < ours.length; k++) most = Math.max(most, Math.abs(ours[k]! - theirs[k]!));
  return most;
}

describe("pixels", () => {
  test.each<[number, any]>(vectors.warps.map((c: any, k: number) => [k, c]))("warp %i is OpenCV's", (_: number, c: any) => {
    const matrix = rotation(60.3, 71.8, c.angle, c.scale, (c.size - 1) / 2);
    expect(furthest(matrix, c.matrix)).toBeLessThan(1e-5); // OpenCV takes the centre in float32
    expect(furthest(warpSquare(picture(vectors.small), matrix, c.size, c.replicate), c.rgb)).toBeLessThanOrEqual(1);
  });

  test.each([0, 1])("crop %i and its pixel values are the package's", (index) => {
    const { photo, face, side, matrix, rgb, values } = vectors.crops[index];
    const crop = cropFace(picture(photo), face, facts.crop);
    expect(crop.side).toBe(side);
    expect(furthest(crop.matrix, matrix)).toBeLessThan(1e-4);
    expect(furthest(crop.rgb, rgb)).toBeLessThanOrEqual(1);
    const ours = pixelValues(crop, facts.network);
    expect(furthest(ours, values)).toBeLessThan(1.5 / 255);
    const exact = ours.filter((value, k) => Math.abs(value - values[k]) < 1e-4).length;
    expect(exact / ours.length).toBeGreaterThan(0.9);
  });
});

describe("faces", () => {
  test("the windows are the detector's", () => {
    for (const [height, width, squares] of vectors.windows) expect(windows(height, width, facts.detector.tileScales, facts.detector.minTile)).toEqual(squares);
  });

  test("the decoding of the detector's network", async () => {
    const { pixels, logits, values, found } = vectors.decoding;
    const network = async (given: Float32Array) => {
      expect(furthest(Array.from(given).filter((_, k) => k % 97 === 0), pixels)).toBeLessThan(1.5 / 127.5);
      return [Float32Array.from(logits), Float32Array.from(values)];
    };
    const ours = await new FaceDetector(facts.detector, network, async () => true)
      .search(picture(vectors.photo), [[0, 0, vectors.photo.width]]);
    expect(ours.length).toBe(found.length);
    ours.forEach((face, k) => {
      expect(furthest(face.box, found[k].box)).toBeLessThan(1e-2);
      expect(furthest(face.keypoints, found[k].keypoints)).toBeLessThan(1e-2);
      expect(face.score).toBeCloseTo(found[k].score, 5);
    });
  });

  test("the mesh's transform", () => {
    expect(furthest(meshTransform(vectors.crops[0].face, facts.mesh), vectors.mesh)).toBeLessThan(1e-4);
  });

  test("what O-Net sees", () => {
    const ours = onetInput(picture(vectors.photo), vectors.crops[0].face, facts.onet);
    expect(furthest(ours, vectors.onet)).toBeLessThan(1.5 / 128);
  });

  test("non-maximum suppression keeps the same boxes", () => {
    const { found, kept } = vectors.suppressed;
    expect(nonMaximumSuppression(found, [], facts.detector.maxIou, facts.detector.maxInside)).toEqual(kept);
  });
});

describe("tracking", () => {
  test("generalised IoU and matching", () => {
    for (const { old, new: now, values, pairs } of vectors.matching) {
      expect(furthest(old.flatMap((a: any) => now.map((b: any) => generalisedIou(a, b))), values.flat())).toBeLessThan(1e-12);
      expect(match(old, now, -0.1)).toEqual(pairs);
    }
  });

  test("the assignment costs as little as scipy's", () => {
    for (const { costs, total } of vectors.assignment) {
      const pairs = assign(costs);
      expect(pairs.length).toBe(Math.min(costs.length, costs[0].length));
      expect(pairs.reduce((sum, [row, column]) => sum + costs[row][column], 0)).toBeCloseTo(total, 9);
    }
  });

  test("a detection moves with its landmarks", () => {
    const { face, old, new: now, moved } = vectors.moving;
    const ours = moveDetection(face, old, now);
    expect(furthest(ours.box, moved.box)).toBeLessThan(1e-6);
    expect(furthest(ours.keypoints, moved.keypoints)).toBeLessThan(1e-3);
  });
});

test("of a crowd the first are followed, and who is much larger takes the smallest one's place", async () => {
  const face = (k: number, side: number) => ({ box: [20 * k, 0, side, side] as Box, score: 0.9, keypoints: Array(12).fill(0) });
  let crowd = Array.from({ length: 40 }, (_, k) => face(k, 10 + (k % 3)));
  const detector = { search: async (_: unknown, __: unknown, known: { box: Box }[]) => nonMaximumSuppression(crowd, known as never, 0.3, 0.7), detectNear: async () => [] };
  const points = new Float32Array(136).map((_, k) => (k * 7) % 11);
  const landmarks = { find: async () => ({ points, mesh: new Float32Array(1404), sure: 1 }) };
  const tracker = new FaceTracker(facts, detector as never, landmarks as never);
  const small = picture({ width: 800, height: 40, rgb: [] });
  const first = await tracker.update(small, 0);
  expect(first.length).toBe(MOST_FOLLOWED);
  expect(first.map(({ person }) => person)).toEqual(first.map((_, k) => k + 1));
  expect(Math.min(...first.map(({ detection }) => detection.box[2]))).toBe(12); // 13 of the 40 are so large
  crowd = [...crowd, face(41, 30)];
  let later = first;
  for (let k = 1; k < 90; k++) later = await tracker.update(small, k / 30);
  expect(later.length).toBe(MOST_FOLLOWED);
  expect(later.filter(({ detection }) => detection.box[2] === 30).map(({ person }) => person)).toEqual([MOST_FOLLOWED + 1]);
});

test("smoothing is the project's filter", () => {
  for (const { timeConstant, hold, steps } of vectors.smoothing) {
    const smoother = new ScoreSmoother(timeConstant, hold);
    for (const { time, scores, smoothed, dominant } of steps) {
      expect(furthest(smoother.update(scores, time), smoothed)).toBeLessThan(1e-12);
      expect(smoother.dominant).toBe(dominant);
    }
  }
});
