/** The page's words about one person and about the session; its keys, and files saved on the visitor's wish. */

import type { Facts, Figure } from "./assets";
import type { Pace } from "./camera";
import { actions, RESTING_FACES, turned } from "./landmarks";
import type { Why } from "./occlusion";
import type { Person } from "./people";
import type { Session } from "./session";

export const $ = <T extends HTMLElement>(id: string): T => {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found as T;
};

/** Set an element's text, unless it says so already: what is written anew is laid out anew. */
function write(place: HTMLElement, text: string): void {
  if (place.textContent !== text) place.textContent = text;
}

export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K, text = "", name = "",
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = name;
  return made;
}

const percent = (share: number) => `${Math.round(100 * share)} %`;
const css = (share: number) => `${(100 * share).toFixed(1)}%`;
const signed = (value: number) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(1)}`;
/** Share by which one half of the face looks narrower, above which the measures are not to be trusted. */
const TURNED = 0.55;

export class Panel {
  private readonly bars: { fill: HTMLElement; rest: HTMLElement; value: HTMLElement }[];

  constructor(
    private readonly facts: Facts,
    private readonly colorOf: (label: string) => string,
  ) {
    this.bars = facts.emotions.map(({ name, color }) => this.makeBar(name, color));
  }

  private makeBar(name: string, color: string) {
    const [row, track] = [element("li"), element("span", "", "track")];
    const [fill, rest, threshold, value] = [element("i"), element("em"), element("u"), element("output")];
    fill.style.backgroundColor = color;
    threshold.style.left = css(this.facts.threshold);
    threshold.title = `under ${percent(this.facts.threshold)}: ${this.facts.noClearEmotion}`;
    rest.title = "at rest";
    rest.hidden = true;
    track.append(fill, threshold, rest);
    row.append(element("span", name, "name"), track, value);
    row.dataset.emotion = name;
    $("bars").append(row);
    return { fill, rest, value };
  }

  /** Show one person, or that nobody is in the picture; `more` follows the line under the name. */
  show(person: Person | null, waiting: string, more: string): void {
    const dot = $("verdict").querySelector("i")!;
    const word = $("verdict").querySelector("b")!;
    $("panel").dataset.person = person ? String(person.number) : "";
    if (person === null) {
      [word.textContent, $("sureness").textContent] = ["nobody", waiting];
      dot.style.backgroundColor = "";
      $("against").hidden = true;
      this.bars.forEach(({ fill, value }) => ([fill.style.transform, value.textContent] = ["scaleX(0)", ""]));
      return;
    }
    const { label, confidence, smoothed, baseline, stability } = person;
    write(word, label);
    dot.style.backgroundColor = this.colorOf(label);
    const best = label === this.facts.noClearEmotion ? `the highest score is ${percent(confidence)}` : percent(confidence);
    write($("sureness"), (stability === null ? best : `${best} · steady ${percent(stability)}`) + more);
    this.bars.forEach(({ fill, rest, value }, k) => {
      fill.style.transform = `scaleX(${smoothed[k]!.toFixed(3)})`;
      write(value, percent(smoothed[k]!));
      value.dataset.score = smoothed[k]!.toFixed(4);
      rest.hidden = baseline === null;
      if (baseline) rest.style.left = css(baseline.scores[k]!);
    });
    $("against").hidden = baseline === null;
  }

  /** Show what the face does. */
  showActions(person: Person | null): void {
    if (person === null) {
      $("actions").replaceChildren();
      return write($("actions-note"), "");
    }
    const { measures, label, baseline, face } = person;
    const found = actions(measures, label, baseline?.measures ?? null).slice(0, 5);
    const rows = found.map(({ text, units, value, rest, fits }) => {
      const row = element("li", "", fits ? "fits" : "");
      if (fits) row.style.setProperty("--color", this.colorOf(label));
      const measured = element("span", `${signed(value - rest)}`, "measured");
      measured.title = `${value.toFixed(1)} % of the distance between the eyes; at rest ${rest.toFixed(1)} %`;
      row.append(element("b", text), element("small", units), measured);
      return row;
    });
    $("actions").replaceChildren(...(rows.length ? rows : [element("li", "nothing that stands out", "none")]));
    const against = baseline ? "your own resting face" : `${RESTING_FACES.toLocaleString("en")} faces at rest`;
    write(
      $("actions-note"),
      turned(face.mesh) > TURNED
        ? "The head is turned so far that these measures are not to be trusted."
        : `In % of the distance between the eyes, against ${against}. The network does not see these measures.`,
    );
  }

  /** Show what each covered part does to the score; null hides it. */
  showWhy(why: Why | null): void {
    $("reasons").hidden = why === null;
    if (why === null) return;
    const name = this.facts.emotions[why.target]!.name;
    const rows = [...why.parts].sort((a, b) => a.score - b.score).map((part) => {
      const row = element("li");
      row.append(element("b", `without the ${part.name}`), element("span", `${percent(why.score)} → ${percent(part.score)}`, "measured"));
      row.dataset.part = part.name;
      row.style.setProperty("--color", this.colorOf(name));
      row.style.setProperty("--fall", String(Math.max(0, (why.score - part.score) / Math.max(why.score, 1e-6))));
      return row;
    });
    $("parts").replaceChildren(...rows);
  }

  /** A button per person, if there are several. */
  showPeople(people: Person[], chosen: number | null, choose: (number: number) => void): void {
    const box = $("people");
    const numbers = people.map(({ number }) => number).sort((a, b) => a - b);
    const key = `${numbers.join()}/${chosen}`;
    box.hidden = people.length < 2;
    if (box.dataset.key === key) return;
    box.dataset.key = key;
    box.replaceChildren(...numbers.map((number) => {
      const button = element("button", String(number));
      button.type = "button";
      button.setAttribute("aria-pressed", String(number === chosen));
      button.onclick = () => choose(number);
      return button;
    }));
    $("whose").textContent = chosen !== null && people.length > 1 ? `Person ${chosen} of ${people.length}` : "The reading";
  }

  /** The lasting changes and the summary. */
  showSession(session: Session): void {
    const events = session.events();
    const { seconds, people, changes, shares } = session.summary();
    const empty = session.samples.length === 0;
    for (const id of ["csv", "png", "clear"]) $<HTMLButtonElement>(id).disabled = empty;
    $("events").replaceChildren(...events.slice(-6).reverse().map(({ person, label, from, until }) => {
      const row = element("li");
      const dot = element("i");
      dot.style.backgroundColor = this.colorOf(label);
      const who = people > 1 ? `${person}: ` : "";
      row.append(element("time", clock(from)), dot, element("b", who + label), element("small", `${(until - from).toFixed(0)} s`));
      return row;
    }));
    $("summary").textContent = empty
      ? "Nothing yet."
      : `${clock(seconds)} min, ${people === 1 ? "one person" : `${people} persons`}, ${changes === 1 ? "one change" : `${changes} changes`} that lasted.`;
    $("shares").replaceChildren(...shares.map(({ label, share }) => {
      const row = element("li");
      const bar = element("i");
      bar.style.backgroundColor = this.colorOf(label);
      bar.style.width = css(0.5 * share);
      row.append(element("span", label), bar, element("small", percent(share)));
      return row;
    }));
  }

  /** How fast frames are read. */
  showPace(pace: Pace, dropped: number): void {
    const stages = { ...pace.stages, dropped };
    const speed = $("speed");
    if (pace.known) write(speed, `${stages.fps.toFixed(0)} frames/s · ${stages.ms.toFixed(0)} ms`);
    speed.dataset.stages = JSON.stringify(stages);
    const [pixels, faces, scores] = [stages.pixels, stages.faces, stages.scores].map((ms) => `${ms.toFixed(1)} ms`);
    speed.title = `pixels ${pixels}, faces and landmarks ${faces}, scores ${scores}; ${dropped} frames dropped`;
  }

  /** Where it fails, with figures of the results store. */
  showFigures(): void {
    const { accuracy, recall, corrupted, corruptedOf } = this.facts.figures;
    const rows: [string, Figure][] = [];
    if (accuracy["raf-db"]) rows.push(["photos from the web (RAF-DB)", accuracy["raf-db"]]);
    if (accuracy.fer2013) rows.push(["small grey pictures (FER2013)", accuracy.fer2013]);
    const names: Record<string, string> = { darkness: "very dark", mask: "face half covered by a mask", gaussian_blur: "strongly blurred", low_resolution: "very few pixels" };
    for (const [kind, name] of Object.entries(names)) if (corrupted[kind]?.length) rows.push([name, corrupted[kind]!.at(-1)!]);
    const classes = Object.entries(recall).sort((a, b) => b[1].value - a[1].value);
    $("figures").replaceChildren(
      figureList("pictures", rows, () => ""),
      figureList("expressions", classes.map(([name, figure]) => [name, figure]), this.colorOf),
    );
    const other = corruptedOf === this.facts.model ? "" : ` Dark, covered, blurred and small faces were read by ${corruptedOf}.`;
    $("figures-note").textContent =
      `${this.facts.model} on test images that it was not trained on; whiskers are 95 % intervals, and a bar under the pointer ` +
      `tells more. Left: all its answers.${other} Right: of the faces that people labelled so in RAF-DB and FER2013. Turned ` +
      "heads, and groups who are little in the training data, go worse or were not measured.";
  }
}

function figureList(kind: string, rows: [string, Figure][], colorOf: (name: string) => string): HTMLElement {
  const list = element("ul", "", kind);
  for (const [name, { value, low, high, images, classes }] of rows) {
    const [row, track, fill, whisker] = [element("li"), element("span", "", "track"), element("i"), element("u")];
    fill.style.width = css(value);
    fill.style.backgroundColor = colorOf(name);
    [whisker.style.left, whisker.style.width] = [css(low), css(high - low)];
    track.append(fill, whisker);
    row.title = `${(100 * value).toFixed(1)} % [${(100 * low).toFixed(1)}, ${(100 * high).toFixed(1)}] of ${images.toLocaleString("en")} images, ${classes} expressions told apart`;
    row.append(element("span", name, "name"), track, element("output", percent(value)));
    list.append(row);
  }
  return list;
}

export function clock(seconds: number): string {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}

/** Key → command, and what the help says of it. */
const KEYS: Record<string, [command: string, text: string]> = {
  c: ["camera", "start or stop the camera"],
  o: ["photo", "choose a photo"],
  " ": ["freeze", "freeze the picture, or go on"],
  w: ["why", "why: cover the parts of the face"],
  r: ["rest", "take the resting face, three seconds"],
  m: ["mirror", "mirror the picture"],
  l: ["outlines", "lines on the face"],
  f: ["full", "full screen"],
  ArrowLeft: ["previous", "the person before"],
  ArrowRight: ["next", "the next person"],
  s: ["csv", "save the session as a table"],
  p: ["png", "save the session as a picture"],
  "?": ["help", "this list"],
};

/** Bind every command to the button of its name, if there is one, and to its key. */
export function bindKeys(commands: Record<string, () => unknown>): void {
  for (const [name, command] of Object.entries(commands)) {
    document.getElementById(name)?.addEventListener("click", (event) => {
      // a mouse leaves no focus behind, so that the space bar goes on to freeze
      if (event.detail > 0) (event.currentTarget as HTMLElement).blur();
      void command();
    });
  }
  window.addEventListener("keydown", (event) => {
    const target = event.target as HTMLElement;
    if (event.ctrlKey || event.metaKey || event.altKey || target.closest("input, select, dialog")) return;
    if (event.key === " " && target.closest("button, a")) return; // there the space bar presses the button
    const [name] = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key] ?? [];
    if (name === undefined) return;
    const button = document.getElementById(name) as HTMLButtonElement | null;
    if (button?.disabled) return;
    event.preventDefault();
    void commands[name]!();
  });
  const list = $("keys").querySelector("dl")!;
  for (const [key, [, text]] of Object.entries(KEYS)) {
    const shown = { " ": "space", ArrowLeft: "←", ArrowRight: "→" }[key] ?? key.toUpperCase();
    list.append(element("dt", shown), element("dd", text));
  }
}


/** Save a file on the visitor's machine. */
export function download(blob: Blob, name: string): void {
  const link = element("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
