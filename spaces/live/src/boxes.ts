/** Boxes (x, y, width, height) in pixels: how much they overlap, which to keep, and which are the same person's. */

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
