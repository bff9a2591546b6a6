/** What the page makes of scores over time, on small cases computed by hand. */

import { expect, test } from "vitest";
import { actions, measure, MEASURES } from "../src/landmarks";
import { hull } from "../src/occlusion";
import { againstRest, stability, type Person } from "../src/people";
import { Session } from "../src/session";

test("scores against rest: what a face always shows counts less, neutral is left alone", () => {
  // 0.5 / (0.5 + 1/2) = 0.5 and 0.5 / (0 + 1/2) = 1
  expect(againstRest([0.5, 0.5], [0.5, 0], -1)).toEqual([1 / 3, 2 / 3]);
  expect(againstRest([0.5, 0.5], [1, 0], 0)).toEqual([0.5, 0.5]);
});

test("stability is 1 for the same scores and falls by the mean distance from their mean", () => {
  expect(stability([[0.2, 0.8], [0.2, 0.8]])).toBeCloseTo(1);
  expect(stability([[1, 0], [0, 1]])).toBeCloseTo(0.5);
});

const person = (label: string, number = 1): Person => ({
  number, label, smoothed: [1, 0], confidence: 1, stability: 1, measures: [], baseline: null,
  face: { person: number, box: [0, 0, 9, 9], sure: 1, keypoints: [], scores: [1, 0], points: new Float32Array(136), mesh: new Float32Array(1404) },
});

test("a session's events are what lasted a second; a flicker does not break one, an absence does", () => {
  const session = new Session();
  for (let k = 0; k < 60; k++) session.add([person(k === 20 ? "fear" : "happiness")], k / 10);
  expect(session.events().map(({ label }) => label)).toEqual(["happiness"]);
  expect(session.events()[0]!.until).toBeCloseTo(5.9);
  for (let k = 60; k < 80; k++) session.add([], k / 10);
  for (let k = 80; k < 100; k++) session.add([person("happiness")], k / 10);
  expect(session.events().map(({ from }) => Math.round(from))).toEqual([0, 8]);
  expect(session.summary().shares[0]).toEqual({ label: "happiness", share: 79 / 80 });
});

test("a session keeps ten samples a second, and no more than it may", () => {
  const session = new Session();
  for (let k = 0; k < 300; k++) session.add([person("fear")], k / 30);
  expect(session.samples.length).toBe(100);
  expect(session.toCsv({ emotions: [{ name: "a" }, { name: "b" }] } as never).trim().split("\n").length).toBe(101);
});

test("a person's line begins with whoever was read before it came", () => {
  const session = new Session();
  for (let k = 0; k < 10; k++) session.add([person("fear", 1), person("fear", 2)], k / 10);
  for (let k = 10; k < 20; k++) session.add([person("anger", 3)], k / 10);
  expect(session.lineOf(3).map((one) => one.person)).toEqual([...Array(10).fill(1), ...Array(10).fill(3)]);
  expect(session.lineOf(1).length).toBe(10);
});

/** A flat mesh in which only the points of eyes, nose and mouth stand anywhere. */
function mesh(places: Record<number, [number, number]>): Float32Array {
  const all = new Float32Array(1404);
  const still: Record<number, [number, number]> = { 33: [-60, 0], 133: [-40, 0], 362: [40, 0], 263: [60, 0], 168: [0, 0], 2: [0, 60] };
  for (const [point, [x, y]] of Object.entries({ ...still, ...places })) all.set([x, y, 0], 3 * Number(point));
  return all;
}

test("measures are in % of the distance between the eyes, and do not change when the head turns in the plane", () => {
  const lips = mesh({ 13: [0, 90], 14: [0, 95], 61: [-25, 85], 291: [25, 85] });
  const corners = MEASURES.findIndex(({ name }) => name === "lip corners");
  expect(measure(lips)[corners]).toBeCloseTo(7.5, 3);
  expect(measure(lips)[MEASURES.findIndex(({ name }) => name === "lip gap")]).toBeCloseTo(5, 3);
  const turned = lips.map((value, k, all) => (k % 3 === 0 ? 0.8 * value - 0.6 * all[k + 1]! : k % 3 === 1 ? 0.6 * all[k - 1]! + 0.8 * value : 0));
  measure(turned).forEach((value, k) => expect(value).toBeCloseTo(measure(lips)[k]!, 2));
});

test("an action is named against the visitor's own rest, and told from those that don't belong to the expression", () => {
  const rest = MEASURES.map(() => 0);
  const now = rest.map((_, k) => (MEASURES[k]!.name === "lip corners" ? 40 : 0));
  const [action] = actions(now, "happiness", rest);
  expect([action!.text, action!.fits, action!.value - action!.rest]).toEqual(["lip corners up", true, 40]);
  expect(actions(now, "anger", rest)[0]!.fits).toBe(false);
  expect(actions(rest, "anger", rest)).toEqual([]);
});

test("the convex hull leaves out what lies inside", () => {
  expect(hull([[0, 0], [4, 0], [2, 1], [4, 4], [0, 4]])).toHaveLength(4);
});

test("a pause ends what was seen before it: the session shows a gap, however soon the same face is back", () => {
  const session = new Session();
  for (let k = 0; k < 20; k++) session.add([person("happiness")], k / 10);
  session.pause(2, 5);
  for (let k = 50; k < 70; k++) session.add([person("happiness")], k / 10);
  expect(session.events().map(({ from, until }) => [from, Math.round(until)])).toEqual([[0, 2], [5, 7]]);
  expect(session.samples.filter(({ time }) => time > 1.95 && time < 5)).toEqual([]);
  session.clear();
  expect(session.pauses).toEqual([]);
});
