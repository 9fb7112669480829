// A browser's tabs, as far as keeping a call needs them: what they store, their events, and locks.

/** The locks of a browser, which all its tabs share. */
class Locks {
  readonly #held = new Set<string>();
  readonly #waiting = new Map<string, (() => void)[]>();

  async request(name: string, { signal }: { signal: AbortSignal }, hold: () => Promise<void>): Promise<void> {
    while (this.#held.has(name)) await this.#released(name, signal);
    this.#held.add(name);
    try {
      await hold();
    } finally {
      this.#held.delete(name);
      for (const retry of this.#waiting.get(name)?.splice(0) ?? []) retry();
    }
  }

  #released(name: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
      this.#waiting.set(name, [...(this.#waiting.get(name) ?? []), resolve]);
    });
  }
}

export class Tab {
  readonly stored: Map<string, string>;
  readonly locks: Locks | null;
  #page = new EventTarget();

  constructor(locks: Locks | null = new Locks(), stored = new Map<string, string>()) {
    [this.locks, this.stored] = [locks, stored];
  }

  /** Another tab, with a copy of what this one stores. */
  duplicate(): Tab {
    return new Tab(this.locks, new Map(this.stored));
  }

  /** Scripts that run now run in this tab. */
  enter(): void {
    const { stored } = this;
    const page = this.#page;
    const sessionStorage = {
      getItem: (key: string) => stored.get(key) ?? null,
      setItem: (key: string, value: string) => void stored.set(key, value),
      removeItem: (key: string) => void stored.delete(key),
    };
    const given = { sessionStorage, navigator: this.locks ? { locks: this.locks } : {}, addEventListener: page.addEventListener.bind(page) };
    for (const [name, value] of Object.entries(given)) {
      Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    }
  }

  /** The page is left; returns what shows it again, from the back-forward cache. */
  leave(): () => void {
    const page = this.#page;
    page.dispatchEvent(new Event("pagehide"));
    this.#page = new EventTarget();
    this.enter();
    return () => {
      this.#page.dispatchEvent(new Event("pagehide"));
      this.#page = page;
      this.enter();
      page.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: true }));
    };
  }
}
