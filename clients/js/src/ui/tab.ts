// A call that a page goes on with when it is loaded again, or when the user comes back to it.

import type { Trace } from "../call.js";
import type { Session } from "./session.js";

/** A page that is reloaded is back by then; one that was closed costs no more. */
const LINGER_S = 15;
/** By then the call has ended, whatever happened to the page. */
const OVER_MS = 60_000;

/** What a page leaves for its successor in the same tab. */
interface Left {
  readonly trace: Trace;
  /** When the page went away; absent where it was not told of that. */
  readonly leftAt?: number;
}

/**
 * Has a session keep what it takes to resume its call, where the tab may store anything, and resumes
 * what is kept under this key. Where nothing may be stored, nobody could come back: the call ends with
 * the page. Returns what ends that, when the session does.
 */
export function keepThroughReloads(session: Session, key: () => string): () => void {
  const leaving = new AbortController();
  const { signal } = leaving;
  const storage = storageOfTab();
  const keep = (leftAt?: number): void => {
    const { trace } = session;
    if (trace) storage?.setItem(key(), JSON.stringify({ trace, ...(leftAt && { leftAt }) } satisfies Left));
    else storage?.removeItem(key());
  };
  addEventListener("pagehide", () => {
    session.goAway(storage ? LINGER_S : 0);
    keep(Date.now());
  }, { signal });
  // A page from the back-forward cache is as it was, and its call was left.
  addEventListener("pageshow", ({ persisted }) => {
    if (persisted) void session.resume();
  }, { signal });
  const left = storage && read(storage, key());
  if (left) void session.resume(left.trace);
  let kept: string | undefined;
  const follow = (): void => {
    if (session.trace?.taskId === kept) return;
    kept = session.trace?.taskId;
    keep();
  };
  const unsubscribe = session.subscribe(follow);
  follow();
  return () => {
    unsubscribe();
    leaving.abort();
  };
}

function read(storage: Storage, key: string): Left | null {
  const left = JSON.parse(storage.getItem(key) ?? "null") as Left | null;
  const isOver = left?.leftAt !== undefined && Date.now() - left.leftAt > OVER_MS;
  if (isOver) storage.removeItem(key);
  return isOver ? null : left;
}

/** Pages of a frame, or users, may not allow any. */
function storageOfTab(): Storage | null {
  try {
    return sessionStorage;
  } catch {
    return null;
  }
}
