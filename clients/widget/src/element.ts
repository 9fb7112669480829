// <parley-avatar>: a call with a digital human, in a page of any site.

import { type AppTool, type CredentialProvider, Gateway, type Persona, tickets, type Tools, type Turn } from "@parley/client";
import { Microphone } from "@parley/client/microphone";
import { createPlayer, type Output } from "@parley/client/players";
import { keepThroughReloads, languageOf, messageOf, Session, type SessionProblem, type TalkMode } from "@parley/client/ui";
import css from "./style.css?inline";
import { fetchTicket } from "./ticket.js";
import { textsIn } from "./texts.js";
import { View, type Look } from "./view.js";

/** What a script knows of the gateway that it comes from. */
export interface Origin {
  /** Address of the gateway, for elements without a `gateway` attribute; default: the page's own. */
  readonly gateway?: string;
  /** Address of the microphone's worklet; default: beside the package's modules. */
  readonly worklet?: string;
}

export interface ParleyAvatarEvents {
  /** The call is on. */
  "parley-connected": CustomEvent<{ taskId: string; personaId: string; lang: string }>;
  /** A turn is over. */
  "parley-turn": CustomEvent<Turn>;
  /** The call is over; `reason` is the task's stop reason, FAILED, or UNSEEN. */
  "parley-ended": CustomEvent<{ taskId: string; reason: string }>;
  /** Something failed; `message` is what the user is told. */
  "parley-error": CustomEvent<SessionProblem & { message: string }>;
}

const OBSERVED = ["lang", "mode", "name", "poster", "talk-mode"];

let sheet: CSSStyleSheet | null = null;

export class ParleyAvatar extends HTMLElement {
  static readonly observedAttributes = OBSERVED;
  /** A credential, or what provides one; in place of `ticket-url`. */
  credential: string | CredentialProvider | null = given<string | CredentialProvider>(this, "credential") ?? null;
  /** Functions that the digital human may call in the page, by the names of the persona's tools. */
  tools: Tools = given<Tools>(this, "tools") ?? {};
  /** Functions of the page that a call declares itself, beside the persona's tools. */
  clientTools: readonly AppTool[] = given<readonly AppTool[]>(this, "clientTools") ?? [];
  protected readonly origin: Origin = {};
  readonly #session: Session;
  readonly #view: View;
  #keeping: AbortController | null = null;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [(sheet ??= makeSheet())];
    this.#session = this.#newSession();
    this.#view = new View(root, this.#session, this.#look);
    this.#session.subscribe(() => this.#render());
  }

  /** Starts the call, unless there is one. Resolves when it is on, or has failed. */
  start(): Promise<void> {
    return this.#session.start();
  }

  /** Ends the call. */
  stop(): Promise<void> {
    return this.#session.stop();
  }

  /** Asks in writing, during a call. */
  ask(text: string): void {
    this.#session.ask(text);
  }

  /** Cuts off what is said. */
  interrupt(): void {
    this.#session.interrupt();
  }

  connectedCallback(): void {
    this.#render();
    if (this.#keeping) return;
    const keeping = (this.#keeping = new AbortController());
    void untilParsed().then(() => {
      if (keeping.signal.aborted) return;
      const end = keepThroughReloads(this.#session, this.#memoryKey);
      keeping.signal.addEventListener("abort", end);
    });
  }

  disconnectedCallback(): void {
    // An element that only moves is connected again at once.
    queueMicrotask(() => {
      if (this.isConnected) return;
      void this.#session.stop();
      this.#keeping?.abort();
      this.#keeping = null;
    });
  }

  attributeChangedCallback(name: string): void {
    if (name === "talk-mode") this.#session.changeTalkMode(this.#talkMode);
    if (this.isConnected) this.#render();
  }

  #newSession(): Session {
    return new Session({
      setup: () => ({
        gateway: new Gateway({ baseUrl: this.#gatewayUrl, credential: this.#credentials }),
        request: {
          personaId: this.getAttribute("persona") ?? "",
          digitalHumanId: this.getAttribute("digital-human") ?? "",
          lang: this.getAttribute("lang") ?? "",
        },
        createPlayer: (watching) => createPlayer(watching, { screen: this.#view.stage.screen, output: this.#output }),
        tools: this.tools,
        clientTools: this.clientTools,
      }),
      talkMode: this.#talkMode,
      microphone: (listener) => {
        const { worklet } = this.origin;
        return new Microphone(listener, worklet ? { workletUrl: worklet } : {});
      },
      listener: {
        onConnected: (detail) => this.#tell("parley-connected", detail),
        onTurn: (turn) => this.#tell("parley-turn", turn),
        onEnded: (detail) => this.#tell("parley-ended", detail),
        onProblem: (problem) =>
          this.#tell("parley-error", { ...problem, message: messageOf(problem, this.#look.translate) }),
        onLevel: (level) => this.#view.showLevel(level),
      },
    });
  }

  /** Each element of a page has a call of its own, whoever answers it. */
  get #memoryKey(): string {
    return ["parley.call", this.#gatewayUrl, placeOf(this)].join(" ");
  }

  get #gatewayUrl(): string {
    return new URL(this.getAttribute("gateway") ?? this.origin.gateway ?? "/", document.baseURI).href;
  }

  get #credentials(): CredentialProvider {
    const { credential } = this;
    if (typeof credential === "function") return credential;
    if (credential !== null) return () => credential;
    const url = this.getAttribute("ticket-url");
    return url === null ? () => "" : tickets((taskId) => fetchTicket(url, taskId));
  }

  get #output(): Output {
    return this.getAttribute("output") === "blendshape" ? "blendshape" : "video";
  }

  get #talkMode(): TalkMode {
    return this.getAttribute("talk-mode") === "hold" ? "hold" : "open";
  }

  get #look(): Look {
    const language = languageOf(this.closest("[lang]")?.getAttribute("lang") || navigator.language);
    const { persona } = this.#session.state;
    return {
      isFloating: this.getAttribute("mode") === "floating",
      name: this.getAttribute("name") ?? nameOf(persona, language),
      portraitUrl: this.getAttribute("poster") ?? "",
      language,
      translate: textsIn(language),
    };
  }

  #render(): void {
    this.#view.render(this.#session.state, this.#look);
  }

  #tell<K extends keyof ParleyAvatarEvents>(type: K, detail: ParleyAvatarEvents[K]["detail"]): void {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
  }
}

/** The page's own scripts, which may set properties, have run by then. */
function untilParsed(): Promise<void> {
  return new Promise((resolve) => {
    if (document.readyState !== "loading") resolve();
    else addEventListener("DOMContentLoaded", () => resolve(), { once: true });
  });
}

/** What the page has set before the script has defined the element. */
function given<T>(element: HTMLElement, name: string): T | undefined {
  return Object.getOwnPropertyDescriptor(element, name)?.value as T | undefined;
}

function nameOf(persona: Persona | null, language: string): string {
  const names = Object.entries(persona?.displayNames ?? {});
  return names.find(([code]) => code.split("-")[0] === language)?.[1] ?? persona?.displayName ?? "";
}

function makeSheet(): CSSStyleSheet {
  const made = new CSSStyleSheet();
  made.replaceSync(css);
  return made;
}

/**
 * Distinguishes elements of a page, whichever shadow roots they are in: by the id, or by how many of the name without one are before it.
 * Empty for the first of the page itself, which may be the only one.
 */
function placeOf(element: Element): string {
  const root = element.getRootNode() as Document | ShadowRoot;
  const within = root instanceof ShadowRoot ? `${root.host.localName} ${placeOf(root.host)}/` : "";
  const unnamed = [...root.querySelectorAll(element.localName)].filter(({ id }) => !id);
  return within + (element.id || String(Math.max(0, unnamed.indexOf(element)) || ""));
}
