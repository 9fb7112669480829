// What user interfaces share on every platform: a session's state and actions, and its texts.

export type { SessionListener, SessionOptions, Setup } from "./options.js";
export { problemFrom } from "./problems.js";
export type { ProblemCode, SessionProblem } from "./problems.js";
export { Session } from "./session.js";
export type { MicrophoneState, SessionState, Status, TalkMode } from "./state.js";
export { languageOf, messageOf, TEXTS } from "./texts.js";
export type { Language, SharedKey } from "./texts.js";
export type { SessionMicrophone, SessionMicrophoneListener } from "./voice.js";
