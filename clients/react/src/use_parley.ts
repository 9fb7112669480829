// One call as a component's state, with what the user can do in it.

import { type AppTool, type CredentialProvider, Gateway, type Tools } from "@parley/client";
import { Microphone } from "@parley/client/microphone";
import { createPlayer, type Output } from "@parley/client/players";
import { keepThroughReloads, Session, type SessionListener, type SessionState, Stage, type TalkMode } from "@parley/client/ui";
import { useEffect, useRef, useState, useSyncExternalStore } from "react";

export interface ParleyOptions extends SessionListener {
  /** Address of the gateway; default: where the page comes from. */
  readonly baseUrl?: string;
  /** See `tickets` of @parley/client; none for a gateway that is open. */
  readonly credential?: CredentialProvider;
  /** Default: the deployment's. */
  readonly personaId?: string;
  /** The face; default: the persona's. */
  readonly digitalHumanId?: string;
  /** Of the conversation; default: the persona's first. */
  readonly lang?: string;
  /** Default: `open`, into an open microphone. */
  readonly talkMode?: TalkMode;
  /** Default: `video`. */
  readonly output?: Output;
  /** Functions that the digital human may call, by the names of the persona's tools. */
  readonly tools?: Tools;
  /** Functions that the digital human may call beside those of the persona, each with what the model is told of it. */
  readonly clientTools?: readonly AppTool[];
  /**
   * Tells calls of one page apart that go on when it is loaded again; needed where there are several.
   * Read when the component is mounted.
   */
  readonly callKey?: string;
  /** Where the microphone's worklet is, if a bundler or a policy needs it elsewhere. */
  readonly workletUrl?: string;
}

export interface Parley extends SessionState {
  /** Starts a call, unless there is one. Resolves when it is on, or has failed with a `problem`. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Asks in writing. */
  ask(text: string): void;
  /** Cuts off what is said. */
  interrupt(): void;
  mute(): void;
  unmute(): Promise<void>;
  /** With talk mode `hold`: the user begins to talk, has finished, or has changed their mind. */
  press(): Promise<void>;
  release(): void;
  cancel(): void;
  /** Does what may solve the `problem`. */
  retry(): Promise<void>;
  /** Forgets the `problem`, which the user has read. */
  dismiss(): void;
  /** Whether the browser plays no sound before the user clicks something; then `playSound` does. */
  readonly isSilenced: boolean;
  playSound(): Promise<void>;
  /** Shows the face in an element, until what it returns is called; `<ParleyAvatar>` does so. */
  show(container: HTMLElement): () => void;
}

/** Options are read when a call starts, except the talk mode, which may change during one. */
export function useParley(options: ParleyOptions = {}): Parley {
  const latest = useRef(options);
  useEffect(() => {
    latest.current = options;
  });
  const [call] = useState(() => new BrowserCall(() => latest.current));
  const { session } = call;
  const state = useSyncExternalStore(session.subscribe, () => session.state, () => session.state);
  const [isSilenced, setSilenced] = useState(false);
  const { talkMode = "open" } = options;
  useEffect(() => session.changeTalkMode(talkMode), [session, talkMode]);
  useEffect(() => call.keep(setSilenced), [call]);
  return { ...state, isSilenced, ...call.actions };
}

/** A session in a browser, with the elements that show it. On a server it does nothing. */
class BrowserCall {
  readonly session: Session;
  readonly actions: Omit<Parley, keyof SessionState | "isSilenced">;
  #stage: Stage | null = null;
  #onSilenced: (isSilenced: boolean) => void = () => undefined;
  #ending: ReturnType<typeof setTimeout> | undefined;
  readonly #options: () => ParleyOptions;
  #endKeeping: (() => void) | null = null;

  constructor(options: () => ParleyOptions) {
    this.#options = options;
    const session = new Session({
      setup: () => {
        const { baseUrl, credential, personaId = "", digitalHumanId = "", lang = "", output = "video" } = options();
        const { tools = {}, clientTools = [] } = options();
        return {
          gateway: new Gateway({ ...(baseUrl !== undefined && { baseUrl }), ...(credential && { credential }) }),
          request: { personaId, digitalHumanId, lang },
          createPlayer: (watching) => createPlayer(watching, { screen: this.#shown.screen, output }),
          tools,
          clientTools,
        };
      },
      talkMode: options().talkMode ?? "open",
      microphone: (listener) => {
        const { workletUrl } = options();
        return new Microphone(listener, workletUrl ? { workletUrl } : {});
      },
      listener: {
        onConnected: (call) => options().onConnected?.(call),
        onTurn: (turn) => options().onTurn?.(turn),
        onEnded: (call) => options().onEnded?.(call),
        onProblem: (problem) => options().onProblem?.(problem),
        onLevel: (level) => options().onLevel?.(level),
      },
    });
    this.session = session;
    session.subscribe(() => {
      const { phase, portraitUrl } = session.state;
      this.#stage?.setPortrait(portraitUrl);
      if (phase === "idle" || phase === "away") this.#stage?.showPoster();
    });
    this.actions = {
      start: () => session.start(),
      stop: () => session.stop(),
      ask: (text) => session.ask(text),
      interrupt: () => session.interrupt(),
      mute: () => session.mute(),
      unmute: () => session.unmute(),
      press: () => session.press(),
      release: () => session.release(),
      cancel: () => session.cancel(),
      retry: () => session.retry(),
      dismiss: () => session.dismiss(),
      playSound: () => this.#shown.play(),
      show: (container) => this.#show(container),
    };
  }

  /** Keeps the call for as long as its component is there; React may take that away for a moment. */
  keep(onSilenced: (isSilenced: boolean) => void): () => void {
    clearTimeout(this.#ending);
    this.#onSilenced = onSilenced;
    this.#endKeeping ??= keepThroughReloads(this.session, this.#key);
    return () => {
      this.#ending = setTimeout(() => {
        void this.session.stop();
        this.#endKeeping?.();
        this.#endKeeping = null;
      });
    };
  }

  get #key(): string {
    const { baseUrl = "", callKey = "" } = this.#options();
    return ["parley.call", baseUrl, callKey].join(" ");
  }

  get #shown(): Stage {
    return (this.#stage ??= new Stage((isSilenced) => this.#onSilenced(isSilenced)));
  }

  #show(container: HTMLElement): () => void {
    const { element } = this.#shown;
    container.append(element);
    // A video that is moved in the document pauses.
    void this.#shown.play();
    return () => element.remove();
  }
}
