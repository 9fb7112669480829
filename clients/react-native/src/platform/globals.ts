// What @parley/client uses of the web platform, and React Native lacks or has in part.

import "react-native-get-random-values";
import "react-native-url-polyfill/auto";
import { registerGlobals } from "react-native-webrtc";

registerGlobals();

// React Native's signals know whether they are aborted, and not why.
if (!("throwIfAborted" in AbortSignal.prototype)) {
  Object.assign(AbortSignal.prototype, {
    throwIfAborted(this: AbortSignal): void {
      if (this.aborted) throw new Error("It was aborted.");
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
