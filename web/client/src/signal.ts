/** A value that changes. What get returns stays the same until it has changed. */
export interface Signal<T> {
  get(): T;
  /** Calls f after each change, until the returned function is called. */
  subscribe(f: () => void): () => void;
}

/** A signal that is set. */
export class Source<T> implements Signal<T> {
  private readonly listeners = new Set<() => void>();

  constructor(protected value: T) {}

  get = (): T => this.value;

  subscribe = (f: () => void): (() => void) => {
    const own = () => f(); // so that f may be given twice
    this.listeners.add(own);
    return () => {
      this.listeners.delete(own);
    };
  };

  get watched(): boolean {
    return this.listeners.size > 0;
  }

  set(value: T): void {
    if (value === this.value) return;
    this.put(value);
    this.notify();
  }

  /** Sets the value for those who look; notify tells them to. */
  put(value: T): void {
    this.value = value;
  }

  notify(): void {
    for (const f of [...this.listeners]) call(f);
  }
}

/** Calls f. What it throws is for the page to hear of, and keeps nothing else from being done. */
export function call(f: () => void): void {
  try {
    f();
  } catch (e) {
    const report: typeof reportError | undefined = globalThis.reportError; // Node.js has none
    if (report) report(e);
    else queueMicrotask(() => { throw e; });
  }
}

/** A signal of what f makes of others; f is called when one has changed. */
export function computed<T>(sources: readonly Signal<unknown>[], f: () => T): Signal<T> {
  let seen: unknown[] | undefined;
  let value: T;
  return {
    get() {
      const now = sources.map((s) => s.get());
      if (!seen || now.some((v, k) => v !== seen![k])) [seen, value] = [now, f()];
      return value;
    },
    subscribe(listener) {
      const stops = sources.map((s) => s.subscribe(listener));
      return () => stops.forEach((stop) => stop());
    },
  };
}

/** Whether two values, or what two rows hold, are the same. */
export function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || !a || !b || a.constructor !== b.constructor) return false;
  if (a instanceof Date) return +a === +(b as Date);
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((k) => k in b && same(a[k as keyof typeof a], b[k as keyof typeof b]));
}
