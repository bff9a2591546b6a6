/** Commands by button and by key, and files saved on the visitor's wish. */

import { $, element } from "./panel";

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
