// A call that a page goes on with when it is loaded again, or when the user comes back to it.

import type { Trace } from "../call.js";
import type { Session } from "./session.js";
import type { MicrophoneState } from "./state.js";

/** A page that is reloaded is back by then; one that was closed costs no more. */
const LINGER_S = 15;
/** By then the call has ended, whatever happened to the page. */
const OVER_MS = 60_000;
/** The page before may still be on its way out. */
const RELEASED_MS = 1000;

/** What a page leaves for its successor in the same tab. */
interface Left {
  readonly trace: Trace;
  readonly microphone: MicrophoneState;
  /** When the page went away; absent while it is there, and where it was not told of that. */
  readonly leftAt?: number;
}

/**
 * Has a session keep what it takes to resume its call, where the tab may store anything, and resumes
 * what is kept under this key, unless another page has that call. Where nothing may be stored, nobody
 * could come back: the call ends with the page. Returns what ends that, when the session does.
 *
 * Sessions that are in a page at once need a key each: of two calls under one key, that which was stored
 * last is resumed, by whichever session comes first, and the other one ends.
 */
export function keepThroughReloads(session: Session, key: string): () => void {
  const keeping = new Keeping(session, key, storageOfTab());
  return () => keeping.end();
}

class Keeping {
  readonly #session: Session;
  readonly #key: string;
  readonly #storage: Storage | null;
  readonly #ending = new AbortController();
  #taskId: string | undefined;
  /** What this session has stored last. */
  #kept = "";
  #leftAt: number | undefined;
  /** The task that is locked, until that is aborted. */
  #lock: { readonly taskId: string; readonly held: AbortController } | null = null;

  constructor(session: Session, key: string, storage: Storage | null) {
    [this.#session, this.#key, this.#storage] = [session, key, storage];
    const { signal } = this.#ending;
    addEventListener("pagehide", () => this.#leave(), { signal });
    // A page from the back-forward cache is as it was, and its call was left.
    addEventListener("pageshow", ({ persisted }) => {
      if (persisted) this.#comeBack();
    }, { signal });
    signal.addEventListener("abort", session.subscribe(() => this.#follow()));
    this.#comeBack();
    this.#follow();
  }

  end(): void {
    this.#ending.abort();
    this.#unlock();
  }

  #leave(): void {
    this.#session.goAway(this.#storage ? LINGER_S : 0);
    this.#leftAt = Date.now();
    this.#keep();
    // Pages with locks are not cached by all browsers.
    this.#unlock();
  }

  /** Goes on with what the page before in this tab has left; otherwise with the session's own call. */
  #comeBack(): void {
    const session = this.#session;
    this.#leftAt = undefined;
    const left = this.#read();
    const other = left && left.trace.taskId !== session.trace?.taskId ? left : null;
    const taskId = other?.trace.taskId ?? session.trace?.taskId;
    if (!taskId) return;
    const resume = (): void => {
      // The page before, or another session of this one, may have ended it meanwhile.
      if (other && !this.#isKept(taskId)) return;
      void (other ? session.resume(other.trace, other.microphone) : session.resume());
      this.#follow();
    };
    if (hasLocks()) void this.#lockTask(taskId).then((isHeld) => isHeld && resume());
    // A tab that is duplicated copies what is stored, while the other one is there and has not left.
    else if (!other || other.leftAt !== undefined) resume();
  }

  #follow(): void {
    const taskId = this.#session.trace?.taskId;
    if (taskId !== this.#taskId) {
      if (!taskId) this.#forget();
      this.#taskId = taskId;
      if (taskId && hasLocks()) void this.#lockTask(taskId);
    }
    this.#keep();
  }

  #keep(): void {
    const { trace, microphone } = this.#session;
    if (!trace) return;
    const left = JSON.stringify({ trace, microphone, ...(this.#leftAt && { leftAt: this.#leftAt }) } satisfies Left);
    if (left !== this.#kept) this.#storage?.setItem(this.#key, left);
    this.#kept = left;
  }

  /** Another session may have stored its own call since. */
  #forget(): void {
    if (this.#taskId && this.#isKept(this.#taskId)) this.#storage?.removeItem(this.#key);
    this.#unlock();
  }

  #isKept(taskId: string): boolean {
    return this.#read()?.trace.taskId === taskId;
  }

  #read(): Left | null {
    const left = JSON.parse(this.#storage?.getItem(this.#key) ?? "null") as Left | null;
    const isOver = left?.leftAt !== undefined && Date.now() - left.leftAt > OVER_MS;
    if (isOver) this.#storage?.removeItem(this.#key);
    return isOver ? null : left;
  }

  /** Resolves with whether no other page has the task's call; none can have it then, while this one has. */
  async #lockTask(taskId: string): Promise<boolean> {
    if (this.#lock?.taskId === taskId) return true;
    this.#unlock();
    const held = new AbortController();
    this.#lock = { taskId, held };
    return (await lock(`parley.call ${taskId}`, held.signal)) && !held.signal.aborted;
  }

  #unlock(): void {
    this.#lock?.held.abort();
    this.#lock = null;
  }
}

/** Resolves with whether the lock could be had; it is held until the signal is aborted, or the page is gone. */
function lock(name: string, held: AbortSignal): Promise<boolean> {
  const released = new Promise<void>((resolve) => held.addEventListener("abort", () => resolve()));
  return new Promise((resolve) => {
    const hold = (): Promise<void> => {
      resolve(true);
      return released;
    };
    navigator.locks.request(name, { signal: AbortSignal.timeout(RELEASED_MS) }, hold).catch(() => resolve(false));
  });
}

/** Pages that are not secure have none, nor have older browsers. */
function hasLocks(): boolean {
  return Boolean(navigator.locks);
}

/** Pages of a frame, or users, may not allow any. */
function storageOfTab(): Storage | null {
  try {
    return sessionStorage;
  } catch {
    return null;
  }
}
