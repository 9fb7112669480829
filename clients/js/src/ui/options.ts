// What a session is made of, and what it tells besides its state.

import type { CallRequest } from "../call.js";
import type { Config } from "../contract.js";
import type { Turn } from "../conversation.js";
import type { Gateway } from "../gateway.js";
import type { CreatePlayer } from "../player.js";
import type { AppTool, Tools } from "../tools.js";
import type { SessionProblem } from "./problems.js";
import type { TalkMode } from "./state.js";
import type { NewMicrophone } from "./voice.js";

/** What happened, for those who do not follow the state. */
export interface SessionListener {
  onConnected?(call: { taskId: string; personaId: string; lang: string }): void;
  /** A turn is over. */
  onTurn?(turn: Turn): void;
  /** `reason` is the task's stop reason, or FAILED. */
  onEnded?(call: { taskId: string; reason: string }): void;
  onProblem?(problem: SessionProblem): void;
  /** The microphone's level, 0 to 1. */
  onLevel?(level: number): void;
}

/** What a call is made of; asked for anew with each. */
export interface Setup {
  readonly gateway: Gateway;
  readonly request: CallRequest;
  readonly createPlayer: CreatePlayer;
  /** Functions of the app, by the names under which the persona declares them. */
  readonly tools?: Tools;
  /** Functions of the app that the call declares itself, beside those of the persona. */
  readonly clientTools?: readonly AppTool[];
  /** Where it is known already; default: the gateway is asked. */
  readonly config?: Config | null;
}

export interface SessionOptions {
  readonly setup: () => Setup | Promise<Setup>;
  /** Default: `open`. */
  readonly talkMode?: TalkMode;
  /** Called once, when the first call starts. */
  readonly microphone: NewMicrophone;
  readonly listener?: SessionListener;
}
