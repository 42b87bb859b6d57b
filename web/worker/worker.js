// The worker's side: starts the Go program and routes the pages' MessagePorts
// to it. README.md says what is sent over the ports.

const asking = 500; // ms for another worker to say that it has the database
const patience = 1000; // ms for another worker of this build to end

/**
 * Runs the program of a SharedWorker or a dedicated Worker. Call it while the
 * worker's script is run for the first time, so that no page is missed.
 */
export function runWorker(options) {
  const shared = "onconnect" in self;
  const end = () => self.close();
  const host = createHost({ ...options, end, idle: shared ? undefined : end });
  const take = (event) => host.add(event.ports[0]);
  if (shared) self.onconnect = (event) => (event.ports[0].onmessage = take);
  else self.onmessage = take;
}

/**
 * Makes a host of pages in whatever context this is. Its method add takes a
 * MessagePort, the first of which starts the program.
 */
export function createHost({ name, build, wasm, Go = globalThis.Go, env = {}, end = () => {}, idle = () => {} }) {
  const pages = new Map(); // number -> page
  const alive = `ankurah:worker:${crypto.randomUUID()}`;
  let status = { type: "starting" };
  let reload; // the message that a newer build waits, if one does
  let go; // once the program serves pages
  let next = 1;
  let release; // ends the lock called alive
  const dead = new Promise((resolve) => (release = resolve));
  // Pages hear of the lock when it is held, as they take it for the end of the worker when they get it.
  const living = navigator.locks
    ? new Promise((granted) => navigator.locks.request(alive, () => (granted(alive), dead)))
    : Promise.resolve(undefined);
  let started;

  const tell = (message) => {
    if (message.type === "reload") reload = message;
    else status = message;
    for (const page of pages.values()) page.port.postMessage(message);
  };

  const fail = (reason) => {
    if (status.type === "failed") return;
    go = undefined;
    tell({ type: "failed", reason });
    release();
    end();
  };

  /** Calls the program; what a call throws is the end of it. */
  const call = (f) => {
    if (!go) return;
    try {
      f(go._inst.exports);
      go._resume();
    } catch (error) {
      fail(lastWords() || String(error));
    }
  };

  const deliver = (page, data) => {
    const frame = data instanceof Uint8Array ? data : new Uint8Array(data);
    call((exports) => {
      const at = exports.ankurah_buffer(frame.length);
      new Uint8Array(exports.mem.buffer, at, frame.length).set(frame);
      exports.ankurah_receive(page.number);
    });
  };

  const enter = (page) => {
    call((exports) => exports.ankurah_connect(page.number));
    for (const data of page.early.splice(0)) deliver(page, data);
  };

  const leave = (page) => {
    if (pages.delete(page.number)) call((exports) => exports.ankurah_disconnect(page.number));
    page.port.close();
    if (pages.size === 0) idle();
  };

  const message = (page, data) => {
    if (data instanceof ArrayBuffer || data instanceof Uint8Array) {
      if (go) deliver(page, data);
      else page.early.push(data);
    } else if (data?.type === "hello") {
      // The page holds this lock as long as it lives.
      if (data.lock && navigator.locks) navigator.locks.request(data.lock, () => leave(page));
    } else if (data?.type === "bye") {
      leave(page);
    }
  };

  const add = (port) => {
    const page = { number: next++, port, early: [] };
    pages.set(page.number, page);
    port.onmessage = (event) => message(page, event.data);
    living.then((lock) => port.postMessage({ type: "welcome", build, lock }));
    port.postMessage(status);
    if (reload) port.postMessage(reload);
    if (go) enter(page);
    started ??= start().catch((error) => fail(String(error)));
  };

  const imports = {
    send(number, at, size) {
      const frame = bytes(at, size).slice().buffer;
      pages.get(number)?.port.postMessage(frame, [frame]);
    },
    over(number, at, size) {
      const page = pages.get(number);
      pages.delete(number);
      page?.port.postMessage({ type: "over", reason: text(at, size) });
      if (page && pages.size === 0) idle(); // its page makes another worker, which is to have the database
    },
    ready() {
      // The program is in the middle of a call: pages come after it.
      queueMicrotask(() => {
        go = program;
        tell({ type: "ready", persistent: program.env.ANKURAH_DATABASE !== "" });
        for (const page of [...pages.values()]) enter(page);
      });
    },
    failed(at, size) {
      fail(text(at, size));
    },
  };
  let program;
  const bytes = (at, size) => new Uint8Array(program._inst.exports.mem.buffer, at, size);
  const text = (at, size) => new TextDecoder().decode(bytes(at, size));

  const start = async () => {
    const module = WebAssembly.compileStreaming(fetch(wasm));
    module.catch(() => {}); // it is awaited below
    const persistent = await claim(name, build, dead, tell);
    tell({ type: "starting" });
    listen();
    program = new Go();
    program.env = { ...env, ANKURAH_DATABASE: persistent ? name : "" };
    program.importObject.ankurah = imports;
    program.exit = () => {};
    globalThis.addEventListener?.("error", crashed);
    const instance = await WebAssembly.instantiate(await module, program.importObject);
    await program.run(instance);
    fail(lastWords() || "the program has ended");
  };

  // A program that is not called, but runs by a timer, throws to nobody.
  const crashed = (event) => {
    if (event.error instanceof WebAssembly.RuntimeError) fail(lastWords() || String(event.error));
  };

  return { add };
}

/**
 * Takes the database for a build. False: one of the same build has it. While
 * one of another build has it the pages of both are told, and this waits.
 */
async function claim(name, build, dead, tell) {
  if (!navigator.locks) return false;
  const lock = `ankurah:host:${name}`;
  const take = (options) =>
    new Promise((resolve, reject) => {
      navigator.locks.request(lock, options, (got) => (resolve(got !== null), got && dead)).catch(reject);
    });
  const channel = new BroadcastChannel(lock);
  let persistent = await take({ ifAvailable: true });
  if (!persistent) {
    const holder = await ask(channel, build);
    if (holder !== undefined && holder !== build) {
      tell({ type: "waiting", build: holder });
      persistent = await take({});
    } else {
      persistent = await take({ signal: AbortSignal.timeout(patience) }).catch(() => false);
    }
  }
  if (!persistent) {
    channel.close();
    return false;
  }
  channel.onmessage = ({ data }) => {
    if (data.type !== "who") return;
    channel.postMessage({ type: "me", build });
    if (data.build !== build) tell({ type: "reload", build: data.build });
  };
  return true;
}

/** Asks which build has the database. */
function ask(channel, build) {
  return new Promise((resolve) => {
    channel.onmessage = ({ data }) => data.type === "me" && resolve(data.build);
    channel.postMessage({ type: "who", build });
    setTimeout(resolve, asking);
  });
}

let said = ""; // the last that the program wrote

/** Keeps what the program writes last, which is why it ended. */
function listen() {
  const { fs } = globalThis;
  const write = fs.writeSync;
  const decoder = new TextDecoder();
  fs.writeSync = function (fd, data) {
    said = (said + decoder.decode(data.slice(), { stream: true })).slice(-16384);
    return write.call(this, fd, data);
  };
}

/** Returns the line of a panic or of a fatal error, if there was one. */
function lastWords() {
  return said.match(/^(panic|fatal error): .*/m)?.[0];
}
