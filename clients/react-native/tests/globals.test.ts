// What the app adds to React Native's globals, on signals as React Native has them.

import { AbortController as PhoneController, AbortSignal as PhoneSignal } from "abort-controller";

/** A signal as a platform that is whole has it. */
interface Signal {
  throwIfAborted(): void;
}

const NodeController = AbortController;
const NodeSignal = AbortSignal;
beforeEach(() => Object.assign(globalThis, { AbortController: PhoneController, AbortSignal: PhoneSignal }));
afterEach(() => Object.assign(globalThis, { AbortController: NodeController, AbortSignal: NodeSignal }));

test("Work that is aborted ends at a check of its signal", () => {
  jest.isolateModules(() => require("../src/platform/globals") as unknown);
  const controller = new AbortController();
  const signal = controller.signal as unknown as Signal;
  signal.throwIfAborted();
  controller.abort();
  expect(() => signal.throwIfAborted()).toThrow("It was aborted.");
});
