/** Where names stand over a crowd, on a telephone's width. */

import { expect, test } from "vitest";
import { overlap, type Box } from "../src/detector";
import type { Person } from "../src/people";
import { placeNames } from "../src/stage";

const words = ({ number }: Person) => [`${number}  no clear emotion`, String(number)];
const measure = (text: string, size: number) => 0.55 * size * text.length;

/** Names of faces in a picture of 800×600, shown 390 wide; the second is chosen. */
function named(boxes: Box[]) {
  const people = boxes.map((box, k) => ({ number: k + 1, face: { box } }) as Person);
  return placeNames(people, boxes, 2, [800, 600], 800 / 390, words, measure);
}

const eyes = ([x, y, width, height]: Box): Box => [x, y, width, 0.6 * height];

test("of forty small faces the chosen one has its name, others numbers, over no eyes and no other name", () => {
  const boxes = Array.from({ length: 40 }, (_, k): Box => [20 + 95 * (k % 8), 30 + 110 * Math.floor(k / 8), 44 + (k % 5), 56]);
  const tags = named(boxes);
  expect(tags[0]!.text).toBe("2  no clear emotion");
  expect(tags.slice(1).every(({ person, text }) => text === String(person.number))).toBe(true);
  expect(tags.length).toBeGreaterThan(20);
  tags.forEach(({ box }, k) => {
    for (const face of boxes) expect(overlap(box, eyes(face)).inside).toBe(0);
    for (const other of tags.slice(k + 1)) expect(overlap(box, other.box).inside).toBe(0);
  });
});

test("heads that touch leave no room for numbers; a face that fills the picture has its name on the chin", () => {
  const packed = named(Array.from({ length: 40 }, (_, k): Box => [100 * (k % 8), 120 * Math.floor(k / 8), 100, 120]));
  packed.forEach(({ box }) => expect(box[1] % 120).toBeGreaterThan(72));
  const [tag] = named([[0, 0, 10, 10], [100, -20, 600, 640]]);
  expect(tag!.text).toBe("2  no clear emotion");
  expect(tag!.box[1]).toBeGreaterThan(0.6 * 640);
});
