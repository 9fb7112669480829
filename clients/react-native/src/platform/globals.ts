// What @parley/client uses of the web platform, and React Native lacks or has in part.

import "react-native-get-random-values";
import "react-native-url-polyfill/auto";
import { registerGlobals } from "react-native-webrtc";

registerGlobals();

class AbortError extends Error {
  override readonly name = "AbortError";
}

/** React Native's signals know whether they are aborted, and not why. */
interface Signal extends AbortSignal {
  reason?: unknown;
  throwIfAborted?(): void;
}

const { abort } = AbortController.prototype;
AbortController.prototype.abort = function (this: AbortController, reason: unknown = new AbortError("It was aborted.")) {
  const signal: Signal = this.signal;
  if (!signal.aborted) signal.reason = reason;
  abort.call(this);
};

(AbortSignal.prototype as Signal).throwIfAborted ??= function (this: Signal) {
  if (this.aborted) throw this.reason;
};

Promise.withResolvers ??= function withResolvers<T>() {
  let resolve!: (value: T | PromiseLike<T>) => void;
  let reject!: (reason?: unknown) => void;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
};
