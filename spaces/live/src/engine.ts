/** The page's side of the worker: one order at a time, and the page's lock on all connections before it starts. */

import type { Manifest } from "./assets";
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
export function lockConnections(): void {
  const meta = document.createElement("meta");
  meta.httpEquiv = "Content-Security-Policy";
  meta.content =
    "default-src 'none'; connect-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; " +
    "img-src blob: data:; media-src blob:; worker-src blob:; base-uri 'none'; form-action 'none'";
  document.head.append(meta);
}
