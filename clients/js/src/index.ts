// The core, for every platform with fetch and WebSocket. What needs a browser is in
// `@parley/client/microphone` and `@parley/client/players`.

export { Call, Ended } from "./call.js";
export type { CallListener, CallOptions, CallRequest, Trace } from "./call.js";
export { captionOf } from "./captions.js";
export type { CaptionWord } from "./captions.js";
export type { GatewayOptions, Opened } from "./connection.js";
export type * from "./contract.js";
export { Conversation, split } from "./conversation.js";
export type { Activity, ConversationListener, End, Turn } from "./conversation.js";
export { tickets } from "./credential.js";
export type { CredentialProvider, CredentialRequest, FetchTicket, IssuedTicket, Purpose } from "./credential.js";
export { Gateway } from "./gateway.js";
export type { Abortable, Question, TaskQuery } from "./gateway.js";
export { Line } from "./line.js";
export type { LineListener, LineOptions, TurnDetection } from "./line.js";
export type { Link } from "./link.js";
export { Meter } from "./meter.js";
export type { CreatePlayer, Player, Watching } from "./player.js";
export { OriginRefused, Problem, Unreachable } from "./problem.js";
export type { Recovery, Violation } from "./problem.js";
export type { Socket, SocketConstructor } from "./socket.js";
export { ToolFailure } from "./tools.js";
export type { AppTool, Tool, Tools } from "./tools.js";
export type { Viewer, ViewerToken } from "./viewer_token.js";
