// What @parley/client uses of the web platform, and React Native lacks or has in part.

import "react-native-get-random-values";
import "react-native-url-polyfill/auto";
import { registerGlobals } from "react-native-webrtc";

registerGlobals();

class AbortError extends Error {
  override readonly name = "AbortError";
}

// React Native's signals know whether they are aborted, and not why.
if (!("reason" in AbortSignal.prototype)) {
  const { abort } = AbortController.prototype;
  AbortController.prototype.abort = function (this: AbortController, reason: unknown = new AbortError("It was aborted.")) {
    if (!this.signal.aborted) Object.assign(this.signal, { reason });
    abort.call(this);
  };
  Object.assign(AbortSignal.prototype, {
    throwIfAborted(this: AbortSignal & { readonly reason: unknown }): void {
      if (this.aborted) throw this.reason;
    },
  });
}

Promise.withResolvers ??= function withResolvers<T>() {
  let resolve!: (value: T | PromiseLike<T>) => void;
  let reject!: (reason?: unknown) => void;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
};
