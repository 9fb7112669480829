// The element for a <script> tag, as the gateway serves it: it calls the gateway that it comes from.

import { defineParleyAvatar } from "./define.js";

// Null in a module, which does not know its <script>.
const source = (document.currentScript as HTMLScriptElement | null)?.src;
// The script is at clients/v1/parley.js below the gateway's address.
defineParleyAvatar(
  source ? { gateway: new URL("../..", source).href, worklet: new URL("capture.worklet.js", source).href } : {},
);
