// The element for a <script> tag, as the gateway serves it: it calls the gateway that it comes from.

import { defineParleyAvatar } from "./define.js";
import { address } from "./script_address.js";

// The script is at clients/v1/parley.js below the gateway's address.
defineParleyAvatar({ gateway: new URL("../..", address).href, worklet: new URL("capture.worklet.js", address).href });
