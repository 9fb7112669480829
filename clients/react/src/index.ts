// Calls with digital humans in React.

export { Captions, type CaptionsProps } from "./captions.js";
export { ParleyAvatar, type ParleyAvatarProps } from "./parley_avatar.js";
export { TalkButton, type TalkButtonProps } from "./talk_button.js";
export { type Parley, type ParleyOptions, useParley } from "./use_parley.js";
