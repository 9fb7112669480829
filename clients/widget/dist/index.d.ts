import type { ParleyAvatar } from "./element.js";
export type { ParleyAvatar, ParleyAvatarEvents } from "./element.js";
declare global {
    interface HTMLElementTagNameMap {
        "parley-avatar": ParleyAvatar;
    }
}
