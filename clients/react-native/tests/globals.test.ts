// What the app adds to React Native's globals, on signals as React Native has them.

import { AbortController as PhoneController, AbortSignal as PhoneSignal } from "abort-controller";

/** A controller as a platform that is whole has it. */
interface Controller {
  readonly signal: { readonly reason: unknown; throwIfAborted(): void };
  abort(reason?: unknown): void;
}

const NodeController = AbortController;
const NodeSignal = AbortSignal;
beforeEach(() => Object.assign(globalThis, { AbortController: PhoneController, AbortSignal: PhoneSignal }));
afterEach(() => Object.assign(globalThis, { AbortController: NodeController, AbortSignal: NodeSignal }));

test("Signals say why they are aborted", () => {
  jest.isolateModules(() => require("../src/platform/globals") as unknown);
  const controller = new AbortController() as unknown as Controller;
  controller.signal.throwIfAborted();
  const reason = new Error("It takes too long.");
  controller.abort(reason);
  controller.abort(new Error("Later."));
  expect(controller.signal.reason).toBe(reason);
  expect(() => controller.signal.throwIfAborted()).toThrow(reason);
});
