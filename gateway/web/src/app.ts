// What the user does, and what comes of it.

import { Call, type CallListener, type Link } from "./call";
import { Captions } from "./captions";
import type { Config, GatewayEvent } from "./contract";
import { Conversation, type Turn } from "./conversation";
import { Dock } from "./dock";
import { find } from "./dom";
import { getConfig, getTranscript, Problem, type Choice, type Question } from "./gateway";
import { KeyDialog } from "./keys";
import { Lobby } from "./lobby";
import { Microphone } from "./microphone";
import { Notice } from "./notice";
import { Stage } from "./stage";
import { StatusLine, type Status } from "./status";
import { Transcript } from "./transcript";

// A reply that a newer question cut off is no failure.
const OVERTAKEN = new Set(["DRIVE_SUPERSEDED", "CANCELLED", "TASK_ENDED"]);

type Phase = "lobby" | "connecting" | "live";

export class App implements CallListener {
  readonly #stage = new Stage();
  readonly #notice = new Notice();
  readonly #status = new StatusLine();
  readonly #keys = new KeyDialog(() => {
    if (!this.#call) void this.load();
  });
  readonly #captions = new Captions(find("captions", HTMLElement), find("announcements", HTMLElement));
  readonly #transcript = new Transcript(() => void this.#download());
  readonly #lobby = new Lobby(
    (choice) => void this.#start(choice),
    (person) => this.#stage.setPortrait(person?.avatarUrl ?? ""),
  );
  readonly #microphone = new Microphone((level) => this.#dock.showLevel(level));
  readonly #dock = new Dock(
    {
      begin: () => void this.#listen(),
      end: () => void this.#send(),
      cancel: () => void this.#stopListening(),
      write: (text) => void this.#ask({ text }),
      interrupt: () => void this.#interrupt(),
      hangUp: () => void this.#hangUp(),
    },
    () => this.#call !== null,
  );
  #config: Config | null = null;
  #call: Call | null = null;
  #lastTaskId: string | null = null;
  #conversation = this.#newConversation();
  #isListening = false;
  #limit = 0;
  #asking = 0;
  #links: { events: Link; picture: Link } = { events: "connecting", picture: "connecting" };

  /** Asks the gateway what there is to choose. */
  async load(): Promise<void> {
    this.#show("lobby");
    try {
      this.#config = await getConfig();
    } catch (error) {
      this.#showError(error, () => void this.load());
      return;
    }
    this.#notice.hide();
    this.#lobby.offer(this.#config);
  }

  translate(): void {
    this.#lobby.translate();
    this.#dock.translate();
    this.#status.translate();
    for (const turn of this.#conversation.turns.values()) this.#transcript.show(turn);
  }

  /** Stops the call while the page goes away. */
  leave(): void {
    const call = this.#takeCall();
    call?.stop().catch(() => undefined);
  }

  onEvent(event: GatewayEvent): void {
    const isNew = this.#conversation.apply(event);
    if (isNew && event.name === "turn_failed") this.#showFailure(new Problem(event.data.problem));
  }

  onEvents(link: Link): void {
    this.#links.events = link;
    if (link === "broken") this.#notice.show("error.unreachable");
    else this.#notice.hide("error.unreachable");
    this.#showActivity();
  }

  onPicture(link: Link): void {
    const isFirst = this.#links.picture === "connecting";
    this.#links.picture = link;
    if (link === "connected") {
      this.#notice.hide("error.player");
      if (isFirst) void this.#greet();
    }
    if (link === "broken") this.#notice.show("error.player");
    if (link === "given-up") this.#notice.show("error.player-gone");
    this.#showActivity();
  }

  onEnd(reason: string): void {
    this.#takeCall()?.leave();
    this.#lobby.focus();
    this.#notice.showEnd(reason);
  }

  async #start(choice: Choice): Promise<void> {
    this.#notice.hide();
    this.#transcript.clear();
    this.#captions.clear();
    this.#conversation = this.#newConversation();
    this.#links = { events: "connecting", picture: "connecting" };
    this.#show("connecting");
    // Asked for beside the call: without a microphone one can still write.
    this.#microphone.open().catch((error: unknown) => this.#notice.showError(error));
    try {
      this.#call = await Call.start(choice, this.#stage.screen, this);
    } catch (error) {
      void this.#microphone.close();
      this.#show("lobby");
      this.#showError(error, () => void this.#start(choice));
      return;
    }
    this.#lastTaskId = this.#call.taskId;
    this.#show("live");
    this.#status.startClock();
    const { persona } = this.#lobby;
    this.#dock.open(persona?.displayName ?? "", persona?.sampleQuestions[this.#call.lang] ?? "");
  }

  async #greet(): Promise<void> {
    const call = this.#call;
    const greeting = call && this.#lobby.persona?.greetings[call.lang];
    if (!greeting || this.#conversation.latest) return;
    await this.#attempt(() => call.say(greeting));
  }

  async #hangUp(): Promise<void> {
    const call = this.#takeCall();
    this.#notice.hide();
    this.#lobby.focus();
    await this.#attempt(async () => call?.stop());
  }

  /** Goes back to the lobby; returns the call that was on. */
  #takeCall(): Call | null {
    const call = this.#call;
    this.#dock.cancelTalking();
    this.#call = null;
    this.#status.stopClock();
    void this.#microphone.close();
    this.#captions.clear();
    this.#stage.showPoster();
    this.#show("lobby");
    return call;
  }

  async #interrupt(): Promise<void> {
    await this.#attempt(async () => this.#call?.interrupt());
  }

  async #ask(question: Question): Promise<void> {
    const call = this.#call;
    if (!call) return;
    this.#notice.hide();
    this.#dock.hideSample();
    this.#asking += 1;
    this.#showActivity();
    await this.#attempt(() => call.ask(question));
    this.#asking -= 1;
    this.#showActivity();
  }

  async #listen(): Promise<void> {
    this.#isListening = true;
    this.#notice.hide();
    this.#showActivity();
    if (this.#conversation.activity !== "resting") void this.#interrupt();
    try {
      await this.#microphone.start();
    } catch (error) {
      this.#dock.cancelTalking();
      this.#notice.showError(error);
      return;
    }
    const seconds = (this.#config?.maxAudioSeconds ?? 60) - 1;
    this.#limit = window.setTimeout(() => this.#dock.finishTalking(), seconds * 1000);
  }

  async #send(): Promise<void> {
    const recording = await this.#stopListening();
    if (recording) await this.#ask({ recording });
  }

  async #stopListening(): Promise<Blob | null> {
    clearTimeout(this.#limit);
    this.#isListening = false;
    const recording = await this.#microphone.finish();
    this.#showActivity();
    return recording;
  }

  async #download(): Promise<void> {
    const taskId = this.#lastTaskId;
    if (!taskId) return;
    await this.#attempt(async () => {
      const url = URL.createObjectURL(await getTranscript(taskId));
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
    this.#showError(error);
  }

  #showError(error: unknown, retry?: () => void): void {
    if (error instanceof Problem && error.status === 401) this.#keys.ask();
    else this.#notice.showError(error, retry);
  }

  #newConversation(): Conversation {
    return new Conversation((turn) => this.#showTurn(turn));
  }

  #showTurn(turn: Turn): void {
    this.#captions.show(turn);
    this.#transcript.show(turn);
    this.#showActivity();
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
    const { events, picture } = this.#links;
    if (events === "broken" || picture === "broken") return "reconnecting";
    if (picture === "connecting") return "connecting";
    if (this.#isListening) return "listening";
    const { activity } = this.#conversation;
    return activity === "resting" && this.#asking ? "thinking" : activity;
  }
}
