// The page: shows a session's state, and does what the user wants.

import type { Config, Turn } from "@parley/client";
import { Microphone } from "@parley/client/microphone";
import { createPlayer, type Output } from "@parley/client/players";
import { Captions, keepThroughReloads, problemFrom, Session, type SessionProblem, type SessionState } from "@parley/client/ui";
import { Dock } from "./dock";
import { find, make } from "./dom";
import { gateway } from "./gateway";
import { KeyDialog } from "./keys";
import { t } from "./language";
import { Lobby } from "./lobby";
import { Notice } from "./notice";
import { nameOf } from "./persona";
import { Stage } from "./stage";
import { StatusLine } from "./status";
import { chooseTalkMode, talkMode } from "./talk_mode";
import { Transcript } from "./transcript";

/** Under which a tab keeps what it takes to resume its call. */
const CALL = "parley.call";
/** The gateway wants another key or ticket. */
const WRONG_KEY = "CREDENTIALS_INVALID";

export class App {
  readonly #stage = new Stage();
  readonly #status = new StatusLine();
  readonly #question = make("p", "user");
  readonly #reply = make("p", "reply");
  readonly #lines = make("div", "lines", this.#question, this.#reply);
  readonly #captions = new Captions({
    question: this.#question,
    reply: this.#reply,
    log: find("announcements", HTMLElement),
  });
  readonly #transcript = new Transcript(() => void this.#download());
  readonly #lobby = new Lobby(
    () => this.#call(),
    (person) => this.#stage.setPortrait(person?.avatarUrl ?? ""),
  );
  readonly #session = new Session({
    setup: () => ({
      gateway,
      request: { ...this.#lobby.choice },
      createPlayer: (watching) => createPlayer(watching, { screen: this.#stage.screen, output: chosenOutput() }),
      config: this.#config,
    }),
    talkMode: talkMode(),
    microphone: (listener) => new Microphone(listener),
    listener: {
      onLevel: (level) => this.#dock.showLevel(level),
      onProblem: (problem) => this.#giveWay(problem),
    },
  });
  readonly #dock = new Dock(this.#session);
  readonly #notice = new Notice({
    onRetry: () => void (this.#problem ? this.load() : this.#session.retry()),
    onDismiss: () => this.#dismiss(),
  });
  readonly #keys = new KeyDialog(() => void (this.#state.phase === "live" ? this.#session.retry() : this.load()));
  #state = this.#session.state;
  #config: Config | null = null;
  /** What has failed besides the session. */
  #problem: SessionProblem | null = null;

  constructor() {
    find("captions", HTMLElement).append(this.#lines);
    this.#session.subscribe(() => this.#render());
    this.#render();
  }

  /** Asks the gateway what there is to choose from, and goes on with the call that this tab had. */
  async load(): Promise<void> {
    this.#dismiss();
    let config: Config;
    try {
      config = await gateway.config();
    } catch (error) {
      this.#report(problemFrom(error, true));
      return;
    }
    const isFirst = !this.#config;
    this.#config = config;
    this.#lobby.offer(config);
    if (isFirst) keepThroughReloads(this.#session, CALL);
    if (this.#state.phase === "away") await this.#session.resume();
  }

  translate(): void {
    this.#lobby.translate();
    this.#status.translate();
    this.#transcript.translate();
    this.#render();
  }

  #call(): void {
    this.#dismiss();
    void this.#session.start();
  }

  #render(): void {
    const before = this.#state;
    const state = (this.#state = this.#session.state);
    const { phase, status, turns, links, talkMode, startedAt, persona } = state;
    const isLive = phase === "live";
    document.body.dataset["phase"] = phase;
    document.body.dataset["activity"] = status;
    find("lobby", HTMLFormElement).inert = isLive || phase === "connecting";
    find("call-area", HTMLDivElement).hidden = !isLive;
    this.#status.show(status, isLive ? startedAt : null);
    this.#transcript.show(turns);
    // The speech service may be lost while the picture is still there.
    const isHeard = links.picture === "connected" && links.line !== "suspended";
    this.#captions.show(shownOf(state), { isHeard, you: t("captions.you") });
    // Restarts the entrance animation.
    if (shownOf(state)?.id !== shownOf(before)?.id) find("captions", HTMLElement).replaceChildren(this.#lines);
    this.#dock.render(state, persona ? nameOf(persona) : "");
    this.#showProblem();
    if (talkMode !== before.talkMode) chooseTalkMode(talkMode);
    this.#lobby.show({ isCalling: phase === "connecting", talkMode });
    if (phase !== before.phase) this.#enter(state, before);
  }

  #enter({ phase }: SessionState, before: SessionState): void {
    if (phase === "live") this.#dock.focus();
    else if (phase !== "connecting") this.#stage.showPoster();
    if (before.phase === "live") this.#lobby.focus();
  }

  #showProblem(): void {
    const { problem, isAsking } = this.#state;
    const shown = this.#problem ?? problem;
    this.#notice.show(shown?.reason === WRONG_KEY ? null : shown, isAsking);
  }

  #dismiss(): void {
    this.#problem = null;
    this.#session.dismiss();
  }

  #report(problem: SessionProblem): void {
    this.#problem = problem;
    this.#askForKey(problem);
    this.#showProblem();
  }

  /** The session's problem is newer than the page's own. */
  #giveWay(problem: SessionProblem): void {
    this.#problem = null;
    this.#askForKey(problem);
    this.#showProblem();
  }

  #askForKey({ reason }: SessionProblem): void {
    if (reason === WRONG_KEY) this.#keys.ask();
  }

  async #download(): Promise<void> {
    const { taskId } = this.#state;
    if (!taskId) return;
    try {
      const url = URL.createObjectURL(new Blob([await gateway.transcript(taskId)], { type: "text/plain" }));
      Object.assign(document.createElement("a"), { href: url, download: "transcript.txt" }).click();
      setTimeout(() => URL.revokeObjectURL(url), 1000);
    } catch (error) {
      this.#report(problemFrom(error));
    }
  }
}

/** The turn that captions are of. */
function shownOf({ phase, turns }: SessionState): Turn | null {
  return (phase === "live" && turns.at(-1)) || null;
}

/** The page's address may ask for the face to be drawn here. */
function chosenOutput(): Output {
  return new URLSearchParams(location.search).get("output") === "blendshape" ? "blendshape" : "video";
}
