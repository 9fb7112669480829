// Registers the element.

import { ParleyAvatar, type Origin } from "./element.js";

const TAG = "parley-avatar";

/** Defines <parley-avatar>, unless the page has it already. */
export function defineParleyAvatar(origin: Origin = {}): void {
  if (customElements.get(TAG)) return;
  customElements.define(
    TAG,
    class extends ParleyAvatar {
      protected override readonly origin = origin;
    },
  );
}
