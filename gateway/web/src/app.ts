// The page: what the user does, and what the call reports.

import {
  Call,
  type CallListener,
  type CallOptions,
  type Config,
  Conversation,
  type ConversationEvent,
  type ConversationListener,
  Ended,
  type Link,
  type Persona,
  Problem,
  type Turn,
  type TurnDetection,
} from "@parley/client";
import { Microphone, type MicrophoneListener } from "@parley/client/microphone";
import { createPlayer, type Output } from "@parley/client/players";
import { Captions } from "./captions";
import { Dock, type MicrophoneState } from "./dock";
import { find } from "./dom";
import { gateway } from "./gateway";
import { KeyDialog } from "./keys";
import { Lobby, type Choice } from "./lobby";
import { Notice } from "./notice";
import { nameOf } from "./persona";
import { Stage } from "./stage";
import { StatusLine, type Status } from "./status";
import { chooseTalkMode, talkMode, type TalkMode } from "./talk_mode";
import { findTrace, forgetTrace, leaveTrace } from "./trace";
import { Transcript } from "./transcript";

// A reply that a newer question cut off is no failure.
const OVERTAKEN = new Set(["DRIVE_SUPERSEDED", "CANCELLED", "TASK_ENDED"]);
// The task's own events report these, with the reason.
const OVER = new Set(["TASK_ENDED", "TASK_NOT_FOUND"]);

type Phase = "lobby" | "connecting" | "live";

export class App implements CallListener, ConversationListener, MicrophoneListener {
  readonly #stage = new Stage();
  readonly #notice = new Notice();
  readonly #status = new StatusLine();
  readonly #keys = new KeyDialog(() => {
    if (this.#call) this.#reopen();
    else void this.load();
  });
  readonly #captions = new Captions(find("captions", HTMLElement), find("announcements", HTMLElement));
  readonly #transcript = new Transcript(() => void this.#download());
  readonly #lobby = new Lobby(
    (choice) => void this.#start(choice),
    (person) => this.#stage.setPortrait(person?.avatarUrl ?? ""),
  );
  readonly #microphone = new Microphone(this);
  readonly #dock = new Dock(
    {
      begin: () => void this.#beginTalking(),
      end: () => this.#endTalking(),
      cancel: () => this.#cancelTalking(),
      toggleMicrophone: () => void this.#toggleMicrophone(),
      changeTalkMode: (mode) => this.#changeTalkMode(mode),
      write: (text) => this.#ask(text),
      interrupt: () => this.#call?.line.interrupt(),
      hangUp: () => void this.#hangUp(),
    },
    () => this.#call !== null,
  );
  #config: Config | null = null;
  #call: Call | null = null;
  #lastTaskId: string | null = null;
  #conversation = new Conversation(this);
  #microphoneState: MicrophoneState = "off";
  #isHolding = false;
  #limit = 0;
  #links: { line: Link; picture: Link } = { line: "connecting", picture: "connecting" };

  /** Asks the gateway what there is to choose from. */
  async load(): Promise<void> {
    this.#show("lobby");
    try {
      this.#config = await gateway.config();
    } catch (error) {
      this.#showError(error, () => void this.load());
      return;
    }
    this.#notice.hide();
    this.#lobby.offer(this.#config);
    const trace = findTrace();
    if (trace) await this.#begin((options) => Call.resume(gateway, trace, options), () => void this.load());
  }

  translate(): void {
    this.#lobby.translate();
    this.#dock.name = this.#persona ? nameOf(this.#persona) : "";
    this.#status.translate();
    for (const turn of this.#conversation.turns.values()) this.#transcript.show(turn);
  }

  /** The page goes away; loaded again, it goes on with the call. */
  goAway(): void {
    this.#call?.goAway();
  }

  onEvent(event: ConversationEvent): void {
    this.#conversation.apply(event);
    if (event.event === "turn_started") this.#notice.hideFailure();
    if (event.event === "turn_failed") this.#showFailure(new Problem(event.data.problem));
    this.#showActivity();
  }

  onLine(link: Link): void {
    this.#links.line = link;
    this.#followSound();
    this.#conversation.forgetVoice();
    if (link === "connected") this.#notice.hide("error.unreachable", "error.unreachable-asked");
    else this.#showOutage();
    this.#showActivity();
  }

  onRefusal(problem: Problem): void {
    this.#links.line = "given-up";
    this.#showActivity();
    if (!OVER.has(problem.reason)) this.#showError(problem, () => this.#reopen());
  }

  onPicture(link: Link): void {
    this.#links.picture = link;
    this.#followSound();
    if (link === "connected") this.#notice.hide("error.player");
    if (link === "broken") this.#notice.show("error.player");
    if (link === "given-up") this.#notice.show("error.player-gone", { retry: () => this.#call?.watchAgain() });
    this.#showActivity();
  }

  /** The speech service may be lost while the picture is still there. */
  #followSound(): void {
    const { line, picture } = this.#links;
    this.#captions.hasSound = picture === "connected" && line !== "suspended";
  }

  onUnseen(): void {
    const call = this.#takeCall();
    call?.stop().catch(() => undefined);
    this.#notice.hide();
    this.#notice.show("error.unseen", { retry: () => void this.#start(this.#lobby.choice) });
  }

  onEnd(reason: string): void {
    this.#takeCall();
    this.#lobby.focus();
    this.#notice.showEnd(reason);
  }

  onWrongClock(): void {
    this.#notice.show("error.clock");
  }

  onTurn(turn: Turn): void {
    this.#captions.show(turn);
    this.#transcript.show(turn);
    if (turn.question) this.#dock.hideSample();
  }

  onTurnGone(turn: Turn, before: Turn | undefined): void {
    this.#captions.takeBack(turn, before);
    this.#transcript.takeBack(turn);
  }

  onAudio(pcm: Int16Array<ArrayBuffer>): void {
    if (talkMode() === "hands-free" || this.#isHolding) this.#call?.line.sendAudio(pcm);
  }

  onLevel(level: number): void {
    this.#dock.showLevel(level);
  }

  onGone(): void {
    this.#setMicrophone("off");
    this.#notice.show("error.no-microphone");
  }

  async #start(choice: Choice): Promise<void> {
    await this.#begin((options) => Call.start(gateway, choice, options), () => void this.#start(choice));
  }

  /** Opens a call, new or resumed; `retry` is offered when that fails. */
  async #begin(open: (options: CallOptions) => Promise<Call>, retry?: () => void): Promise<void> {
    this.#notice.hide();
    this.#transcript.clear();
    this.#captions.clear();
    this.#conversation = new Conversation(this);
    this.#links = { line: "connecting", picture: "connecting" };
    this.#show("connecting");
    // Asked for in parallel to the call: without a microphone one can still write.
    void this.#openMicrophone();
    try {
      this.#goLive(await open(this.#callOptions));
    } catch (error) {
      this.#enterLobby();
      if (error instanceof Ended) this.onEnd(error.reason);
      else if (error instanceof Problem && OVER.has(error.reason)) this.onEnd("CLOUD");
      else this.#showError(error, retry);
    }
  }

  get #callOptions(): CallOptions {
    const { screen } = this.#stage;
    const output = chosenOutput();
    return {
      listener: this,
      turnDetection: detectionOf(talkMode()),
      createPlayer: (watching) => createPlayer(watching, { screen, output }),
    };
  }

  #goLive(call: Call): void {
    this.#call = call;
    this.#lastTaskId = call.trace.taskId;
    leaveTrace(call.trace);
    this.#show("live");
    this.#status.startClock(call.trace.startedAt);
    const persona = this.#persona;
    this.#dock.open(persona ? nameOf(persona) : "", persona?.sampleQuestions[call.trace.lang] ?? "");
  }

  /** Whom the call is with. */
  get #persona(): Persona | undefined {
    return this.#config?.personas.find(({ personaId }) => personaId === this.#call?.trace.personaId);
  }

  async #hangUp(): Promise<void> {
    const call = this.#takeCall();
    this.#notice.hide();
    this.#lobby.focus();
    await this.#attempt(async () => call?.stop());
  }

  /** Goes back to the lobby; returns the call that was running. */
  #takeCall(): Call | null {
    const call = this.#call;
    this.#call = null;
    forgetTrace();
    this.#enterLobby();
    return call;
  }

  #enterLobby(): void {
    this.#dock.cancelTalking();
    this.#setMicrophone("off");
    this.#status.stopClock();
    void this.#microphone.close();
    this.#captions.clear();
    this.#stage.showPoster();
    this.#show("lobby");
  }

  #ask(text: string): void {
    this.#notice.hide();
    this.#dock.hideSample();
    this.#call?.line.ask(text);
    if (this.#links.line === "broken") this.#showOutage();
    this.#showActivity();
  }

  #showOutage(): void {
    this.#notice.show(this.#call?.line.isAsking ? "error.unreachable-asked" : "error.unreachable");
  }

  #reopen(): void {
    this.#notice.hide();
    this.#links.line = "connecting";
    this.#call?.line.reopen(detectionOf(talkMode()));
    this.#showActivity();
  }

  /** Returns whether it is open; shows why not. */
  async #openMicrophone(): Promise<boolean> {
    try {
      await this.#microphone.open();
    } catch (error) {
      this.#notice.showError(error);
      return false;
    }
    this.#setMicrophone("on");
    return true;
  }

  #setMicrophone(state: MicrophoneState): void {
    this.#microphoneState = state;
    this.#microphone.isEnabled = state === "on" && (talkMode() === "hands-free" || this.#isHolding);
    this.#dock.microphone = state;
    this.#showActivity();
  }

  async #toggleMicrophone(): Promise<void> {
    this.#notice.hide();
    if (this.#microphoneState === "off") await this.#openMicrophone();
    else this.#setMicrophone(this.#microphoneState === "on" ? "muted" : "on");
  }

  #changeTalkMode(mode: TalkMode): void {
    this.#dock.cancelTalking();
    chooseTalkMode(mode);
    this.#lobby.translate();
    this.#setMicrophone(this.#microphoneState === "off" ? "off" : "on");
    this.#reopen();
  }

  async #beginTalking(): Promise<void> {
    this.#notice.hide();
    this.#isHolding = true;
    if (this.#conversation.activity !== "resting") this.#call?.line.interrupt();
    const seconds = (this.#config?.maxAudioSeconds ?? 60) - 1;
    this.#limit = window.setTimeout(() => this.#dock.finishTalking(), seconds * 1000);
    if (this.#microphoneState === "off" && !(await this.#openMicrophone())) this.#dock.cancelTalking();
    else this.#setMicrophone("on");
  }

  #endTalking(): void {
    this.#stopHolding();
    this.#call?.line.commit();
    this.#showActivity();
  }

  #cancelTalking(): void {
    this.#stopHolding();
    this.#call?.line.reopen("MANUAL");
  }

  #stopHolding(): void {
    clearTimeout(this.#limit);
    this.#isHolding = false;
    this.#setMicrophone(this.#microphoneState);
  }

  async #download(): Promise<void> {
    const taskId = this.#lastTaskId;
    if (!taskId) return;
    await this.#attempt(async () => {
      const url = URL.createObjectURL(new Blob([await gateway.transcript(taskId)], { type: "text/plain" }));
      Object.assign(document.createElement("a"), { href: url, download: "transcript.txt" }).click();
      setTimeout(() => URL.revokeObjectURL(url), 1000);
    });
  }

  async #attempt(action: () => Promise<void> | undefined): Promise<void> {
    try {
      await action();
    } catch (error) {
      this.#showFailure(error);
    }
  }

  #showFailure(error: unknown): void {
    if (error instanceof Problem && OVERTAKEN.has(error.reason)) return;
    // An open microphone picks up much that is no speech.
    if (error instanceof Problem && error.reason === "NO_SPEECH" && talkMode() === "hands-free") return;
    this.#showError(error);
  }

  #showError(error: unknown, retry?: () => void): void {
    if (error instanceof Problem && error.status === 401) this.#keys.ask();
    else this.#notice.showError(error, retry);
  }

  #show(phase: Phase): void {
    document.body.dataset["phase"] = phase;
    find("lobby", HTMLFormElement).inert = phase !== "lobby";
    find("call-area", HTMLDivElement).hidden = phase !== "live";
    this.#lobby.showCalling(phase === "connecting");
    this.#showActivity();
  }

  #showActivity(): void {
    const status = this.#activity;
    document.body.dataset["activity"] = status;
    this.#status.show(status);
    this.#dock.canInterrupt = this.#conversation.activity !== "resting";
  }

  get #activity(): Status {
    const phase = document.body.dataset["phase"] as Phase;
    if (phase !== "live") return phase;
    const { line, picture } = this.#links;
    if (line === "given-up") return "cut";
    if (line === "broken" || line === "suspended" || picture === "broken") return "reconnecting";
    if (picture === "connecting") return "connecting";
    if (this.#conversation.isUserSpeaking) return "hearing";
    if (this.#isHolding) return "listening";
    const { activity } = this.#conversation;
    if (activity !== "resting") return activity;
    if (this.#call?.line.isAsking) return "thinking";
    const open = { off: "resting", muted: "muted", on: "listening" } as const;
    return talkMode() === "hands-free" ? open[this.#microphoneState] : "resting";
  }
}

/** The page's address may ask for the face to be drawn here. */
function chosenOutput(): Output {
  return new URLSearchParams(location.search).get("output") === "blendshape" ? "blendshape" : "video";
}

function detectionOf(mode: TalkMode): TurnDetection {
  return mode === "hold" ? "MANUAL" : "SERVER";
}
