// What user interfaces share: a session's state and actions, the face, and a button to hold while talking.

export { holdToTalk, type Talk } from "./hold.js";
export type { ProblemCode, SessionProblem } from "./problems.js";
export { Session } from "./session.js";
export type {
  SessionListener,
  SessionMicrophone,
  SessionMicrophoneListener,
  SessionOptions,
  Setup,
} from "./session.js";
export { Stage } from "./stage.js";
export type { MicrophoneState, SessionState, Status, TalkMode } from "./state.js";
