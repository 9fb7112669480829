// What user interfaces share: a session's state and actions, the face, and a button to hold while talking.

export { holdToTalk, type Talk } from "./hold.js";
export * from "./session.js";
export { Stage } from "./stage.js";
