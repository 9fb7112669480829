// What user interfaces share in browsers: a session with its texts, the face, captions, and a button to hold.

export { type CaptionElements, Captions, markUnheard, type Shown } from "./captions.js";
export { holdToTalk, type HoldKeys, type Talk } from "./hold.js";
export * from "./portable.js";
export { Stage } from "./stage.js";
export { keepThroughReloads } from "./tab.js";
