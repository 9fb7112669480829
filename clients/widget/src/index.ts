// The element for pages that are bundled: importing it defines <parley-avatar>.

import { defineParleyAvatar } from "./define.js";
import type { ParleyAvatar } from "./element.js";

export type { ParleyAvatar, ParleyAvatarEvents } from "./element.js";

declare global {
  interface HTMLElementTagNameMap {
    "parley-avatar": ParleyAvatar;
  }
}

defineParleyAvatar();
