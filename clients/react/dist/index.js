// Calls with digital humans in React.
export { Captions } from "./captions.js";
export { ParleyAvatar } from "./parley_avatar.js";
export { TalkButton } from "./talk_button.js";
export { useParley } from "./use_parley.js";
