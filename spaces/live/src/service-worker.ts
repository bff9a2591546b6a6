/** Opens the page without a connection: the files of this build from the cache, never anything else. */

declare const BUILD: string;
declare const SHELL: string[];

const worker = self as unknown as ServiceWorkerGlobalScope;
const NAME = `gimefive-live-${BUILD}`;

worker.addEventListener("install", (event) => {
  const kept = caches.open(NAME).then((cache) => cache.addAll(SHELL));
  event.waitUntil(kept.then(() => worker.skipWaiting()));
});

worker.addEventListener("activate", (event) => {
  event.waitUntil(worker.clients.claim());
});

worker.addEventListener("fetch", (event) => {
  const answer = caches
    .open(NAME)
    .then((cache) => cache.match(event.request, { ignoreSearch: true }))
    .then((kept) => kept ?? fetch(event.request));
  event.respondWith(answer);
});

export {};
