/** The way to a page that can read: the browser checked, files loaded, connections locked, networks started. */

import { checkBrowser, loadFiles, loadManifest, type Manifest } from "./assets";
import { Page } from "./page";
import { $, element } from "./panel";
import type { Answer, Order } from "./worker";

type Reply<K extends Answer["kind"]> = Extract<Answer, { kind: K }>;

export class Engine {
  private last: Promise<unknown> = Promise.resolve();
  private waiting: ((answer: Answer) => void) | null = null;

  private constructor(private readonly worker: Worker) {
    worker.onmessage = ({ data }: MessageEvent<Answer>) => this.settle(data);
    worker.onerror = (event) => this.settle({ kind: "failed", reason: event.message || "the worker stopped" });
  }

  /** Start the worker from the loaded files and wait until its networks are ready. */
  static async start(manifest: Manifest, files: Record<string, ArrayBuffer>): Promise<Engine> {
    const { "litert.js": litert, "worker.js": worker, ...rest } = files;
    // A worker from a blob obeys this page's policy, one from an address would obey none on a static host.
    const source = new Blob([litert!, "\n", worker!], { type: "text/javascript" });
    const address = URL.createObjectURL(source);
    const engine = new Engine(new Worker(address));
    try {
      const order = { kind: "start", facts: manifest.facts, files: rest } as unknown as Order;
      await engine.ask(order, "ready", Object.values(rest));
    } finally {
      URL.revokeObjectURL(address);
    }
    return engine;
  }

  /** Send an order, once those before it are answered, and wait for its answer. */
  async ask<K extends Answer["kind"]>(order: Order, kind: K, transfer: Transferable[] = []): Promise<Reply<K>> {
    const turn = this.last.then(() => new Promise<Answer>((resolve) => {
      this.waiting = resolve;
      this.worker.postMessage(order, transfer);
    }));
    this.last = turn;
    const answer = await turn;
    if (answer.kind === "failed") throw new Error(answer.reason);
    if (answer.kind !== kind) throw new Error(`expected the answer ${kind}; got ${answer.kind}`);
    return answer as Reply<K>;
  }

  private settle(answer: Answer): void {
    const resolve = this.waiting;
    this.waiting = null;
    resolve?.(answer);
  }
}

/**
 * From here on the page may not connect to anything, its own server included: policies can only be made stricter, and
 * the worker, which is started afterwards, inherits this one.
 */
function lockConnections(): void {
  const meta = document.createElement("meta");
  meta.httpEquiv = "Content-Security-Policy";
  meta.content =
    "default-src 'none'; connect-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; " +
    "img-src blob: data:; media-src blob:; worker-src blob:; base-uri 'none'; form-action 'none'";
  document.head.append(meta);
}

/** Keep the page for offline use, if the browser does that. */
async function keepOffline(): Promise<void> {
  try {
    await navigator.serviceWorker?.register("service-worker.js");
    await Promise.race([navigator.serviceWorker?.ready, new Promise((resolve) => setTimeout(resolve, 5000))]);
  } catch (error) {
    console.info("the page is not kept for offline use:", error);
  }
}

function showProgress(loaded: number, total: number): void {
  $<HTMLProgressElement>("progress").value = loaded / total;
  $("loaded").textContent = loaded < total
    ? `Loading the networks, ${(loaded / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB`
    : "Starting the networks …";
}

/** Count what the page asks of the network from now on, and let the visitor try to make it ask. */
function bearWitness(): void {
  let count = 0;
  const show = () => ($("requests").textContent = `${count} requests since loading`);
  new PerformanceObserver((list) => { count += list.getEntries().length; show(); }).observe({ type: "resource" });
  const button = $("witness");
  button.hidden = false;
  button.addEventListener("click", () => {
    fetch("manifest.json").then(
      () => ($("requests").textContent = "it went through: don't trust this page"),
      () => ($("requests").textContent = "tried to connect: refused by the browser"),
    ).finally(() => setTimeout(show, 4000));
  });
}

async function start(): Promise<void> {
  try {
    checkBrowser();
    const manifest: Manifest = await loadManifest();
    const [files] = await Promise.all([loadFiles(manifest, showProgress), keepOffline()]);
    lockConnections();
    bearWitness();
    const engine = await Engine.start(manifest, files);
    $("loading").hidden = true;
    new Page(manifest.facts, engine);
  } catch (error) {
    document.body.dataset.state = "broken";
    $("loading").hidden = true;
    $("notice").textContent = error instanceof Error ? error.message : String(error);
    $("notice").hidden = false;
    $("welcome").append(element("p", "Nothing was computed, and nothing was sent."));
  }
}

void start();
