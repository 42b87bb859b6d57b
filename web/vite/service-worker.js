// Opens the page without the server. What stands above names the build and its files.
/* global build, files */

const patience = 3000; // ms that the server may take to answer before the kept page is shown
const prefix = "ankurah:files:";

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(prefix + build).then((cache) => cache.addAll(files)));
});

// It is activated when no page of an older build is open any more.
self.addEventListener("activate", (event) => {
  const old = (name) => name.startsWith(prefix) && name !== prefix + build;
  event.waitUntil(caches.keys().then((names) => Promise.all(names.filter(old).map((name) => caches.delete(name)))));
});

const home = () => caches.open(prefix + build).then((cache) => cache.match(files[0], { ignoreVary: true }));
// Pages of an older build find their files too: names have hashes.
const kept = (request) => caches.match(request, { ignoreVary: true });

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || new URL(request.url).origin !== location.origin) return;
  if (request.mode === "navigate") event.respondWith(page(request));
  else event.respondWith(kept(request).then((response) => response ?? fetch(request)));
});

/** The server's page if it is there, else the kept one. */
async function page(request) {
  try {
    const response = await fetch(request, { signal: AbortSignal.timeout(patience) });
    if (response.status < 500) return response;
    return (await home()) ?? response;
  } catch (error) {
    const response = await home();
    if (response) return response;
    throw error;
  }
}
