// What the widget looks like: builds its elements once, and renders a session's state into them.

import { Captions, holdToTalk, messageOf, type Session, type SessionState, Stage } from "@parley/client/ui";
import { icon, make, setName, setText } from "./dom.js";
import type { Translate } from "./texts.js";

/** What the page's author has chosen. */
export interface Look {
  readonly isFloating: boolean;
  /** Of the digital human; the empty string where it is not known. */
  readonly name: string;
  readonly portraitUrl: string;
  /** Of the widget's texts. */
  readonly language: string;
  readonly translate: Translate;
}

export class View {
  readonly stage = new Stage((isSilenced) => {
    this.#soundOn.hidden = !isSilenced;
  });
  readonly #root: ShadowRoot;
  readonly #session: Session;
  readonly #question = make("p", { class: "question", part: "question" });
  readonly #reply = make("p", { class: "reply", part: "reply" });
  readonly #captions = make("div", { class: "captions", part: "captions" }, make("div", { class: "lines" }, this.#question, this.#reply));
  readonly #log = make("div", { class: "unseen", role: "log", "aria-live": "polite" });
  readonly #spoken = new Captions({ question: this.#question, reply: this.#reply, log: this.#log });
  readonly #launcherText = make("span");
  readonly #launcher = make("button", { class: "launcher", part: "launcher", type: "button" }, icon("call"), this.#launcherText);
  readonly #status = make("p", { class: "status", part: "status", role: "status" });
  readonly #close = make("button", { class: "close", part: "close", type: "button" }, icon("close"));
  readonly #callText = make("span");
  readonly #call = make("button", { class: "call", part: "call", type: "button" }, icon("call"), this.#callText);
  readonly #hint = make("p", { class: "hint", part: "hint" });
  readonly #lobby = make("div", { class: "lobby" }, this.#call, this.#hint);
  readonly #soundOnText = make("span");
  readonly #soundOn = make("button", { class: "chip", part: "sound", type: "button", hidden: "" }, icon("sound"), this.#soundOnText);
  readonly #noticeText = make("p");
  readonly #retry = make("button", { class: "retry", part: "retry", type: "button" });
  readonly #dismiss = make("button", { class: "dismiss", type: "button" }, icon("close"));
  readonly #notice = make("div", { class: "notice", part: "notice", role: "alert", hidden: "" }, this.#noticeText, this.#retry, this.#dismiss);
  readonly #text = make("input", { class: "text", part: "text", maxlength: "4000", autocomplete: "off", enterkeyhint: "send" });
  readonly #send = make("button", { class: "send", part: "send" }, icon("send"));
  readonly #write = make("form", { class: "write" }, this.#text, this.#send);
  readonly #interrupt = make("button", { class: "interrupt", part: "interrupt", type: "button" }, icon("interrupt"));
  readonly #talkText = make("span");
  readonly #talk = make("button", { class: "talk", part: "talk", type: "button" }, icon("microphone", "hears"), icon("muted", "deaf"), this.#talkText);
  readonly #hangup = make("button", { class: "hangup", part: "hangup", type: "button" }, icon("hangup"));
  readonly #controls = make("div", { class: "controls", part: "controls" }, this.#write, this.#interrupt, this.#talk, this.#hangup);
  readonly #panel: HTMLElement;
  #look: Look;
  #state: SessionState;
  #isOpen = false;
  #undoHold: (() => void) | null = null;

  constructor(root: ShadowRoot, session: Session, look: Look) {
    this.#root = root;
    this.#session = session;
    this.#look = look;
    this.#state = session.state;
    this.stage.element.className = "stage";
    this.stage.element.part.add("stage");
    this.#panel = make(
      "section",
      { class: "panel", part: "panel", tabindex: "-1" },
      make("div", { class: "frame" }, this.stage.element),
      make("div", { class: "veil", part: "veil" }),
      make("div", { class: "top" }, this.#status, this.#close),
      make("div", { class: "bottom" }, this.#captions, this.#soundOn, this.#notice, this.#lobby, this.#controls),
      this.#log,
    );
    root.append(this.#launcher, this.#panel);
    this.#listen();
  }

  /** Shows the call, and what may be done about it. */
  render(state: SessionState, look: Look): void {
    const before = this.#state;
    const focused = this.#root.activeElement;
    this.#state = state;
    this.#look = look;
    this.#renderFrame();
    this.#renderTexts();
    this.#renderNotice();
    this.#renderTalk();
    this.stage.setPortrait(this.#portraitUrl);
    if (before.phase !== state.phase && state.phase !== "live") this.stage.showPoster();
    const { line, picture } = state.links;
    const isHeard = picture === "connected" && line !== "suspended";
    this.#spoken.show(state.turns.at(-1) ?? null, { isHeard, you: look.translate("you") });
    if (focused && (state.phase !== before.phase || !focused.checkVisibility())) this.#moveFocus();
  }

  /** Shows the microphone's level, 0 to 1. */
  showLevel(level: number): void {
    this.#talk.style.setProperty("--level", level.toFixed(3));
  }

  #listen(): void {
    const session = this.#session;
    const start = (): void => void session.start();
    this.#launcher.addEventListener("click", start);
    this.#call.addEventListener("click", start);
    this.#close.addEventListener("click", () => this.#leave());
    this.#soundOn.addEventListener("click", () => void this.stage.play());
    this.#retry.addEventListener("click", () => void session.retry());
    this.#dismiss.addEventListener("click", () => session.dismiss());
    this.#interrupt.addEventListener("click", () => session.interrupt());
    this.#hangup.addEventListener("click", () => this.#leave());
    this.#talk.addEventListener("click", () => {
      if (this.#state.talkMode === "hold") return;
      if (this.#state.microphone === "on") session.mute();
      else void session.unmute();
    });
    this.#write.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.#text.value.trim();
      this.#text.value = "";
      if (text) session.ask(text);
    });
    this.#panel.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      if (this.#state.canInterrupt) session.interrupt();
      // Nobody should hang up by accident.
      else if (this.#state.phase !== "live") this.#leave();
    });
  }

  #leave(): void {
    void this.#session.stop();
    this.#isOpen = false;
    this.render(this.#session.state, this.#look);
  }

  #renderFrame(): void {
    const { phase, status, problem } = this.#state;
    const portraitUrl = this.#portraitUrl;
    const { isFloating, name, language, translate } = this.#look;
    // What ended a call, or kept it from starting, is to be read.
    if (phase !== "idle" || problem) this.#isOpen = true;
    const isShown = !isFloating || this.#isOpen;
    this.#panel.hidden = !isShown;
    this.#launcher.hidden = isShown;
    for (const element of [this.#launcher, this.#panel]) element.lang = language;
    this.#panel.dataset["status"] = status;
    this.#panel.dataset["face"] = String(portraitUrl !== "");
    this.#panel.setAttribute("role", isFloating ? "dialog" : "region");
    this.#panel.setAttribute("aria-label", this.#title(name, translate));
    this.#close.hidden = phase === "live" || (phase !== "connecting" && !isFloating);
    this.#status.hidden = phase === "idle";
    this.#lobby.hidden = phase === "live";
    this.#controls.hidden = phase !== "live";
    this.#call.disabled = phase === "connecting";
    this.#interrupt.disabled = !this.#state.canInterrupt;
  }

  get #portraitUrl(): string {
    return this.#look.portraitUrl || this.#state.portraitUrl;
  }

  #title(name: string, translate: Translate): string {
    return name ? translate("launch.name", { name }) : translate("launch");
  }

  #renderTexts(): void {
    const { phase, status, taskId, talkMode } = this.#state;
    const { name, translate } = this.#look;
    setText(this.#launcherText, this.#title(name, translate));
    setText(this.#status, translate(`status.${status}`));
    const call = phase === "connecting" ? "status.connecting" : taskId ? "call.again" : "call";
    setText(this.#callText, call === "call" ? this.#title(name, translate) : translate(call));
    setText(this.#hint, translate(`hint.${talkMode}`));
    setText(this.#soundOnText, translate("sound"));
    setText(this.#retry, translate("retry"));
    this.#text.placeholder = translate("text");
    this.#text.setAttribute("aria-label", translate("text"));
    setName(this.#send, translate("send"));
    setName(this.#close, translate("close"));
    setName(this.#dismiss, translate("dismiss"));
    setName(this.#interrupt, translate("interrupt"));
    setName(this.#hangup, translate("hangup"));
  }

  #renderNotice(): void {
    const { problem, phase, isAsking } = this.#state;
    this.#notice.hidden = !problem;
    if (!problem) return;
    setText(this.#noticeText, messageOf(problem, this.#look.translate, isAsking));
    // Without a call, the call button is the way to try again.
    this.#retry.hidden = !problem.canRetry || phase === "idle";
  }

  #renderTalk(): void {
    const { talkMode, isHolding, microphone } = this.#state;
    const isHold = talkMode === "hold";
    const keys = { off: "talk.off", muted: "talk.unmute", on: "talk.mute" } as const;
    setText(this.#talkText, this.#look.translate(isHold ? (isHolding ? "talk.send" : "talk.hold") : keys[microphone]));
    this.#talk.dataset["microphone"] = isHold ? "on" : microphone;
    // A button whose name changes with its state must not be announced as pressed too.
    if (isHold) this.#talk.setAttribute("aria-pressed", String(isHolding));
    else this.#talk.removeAttribute("aria-pressed");
    if (isHold) this.#undoHold ??= holdToTalk(this.#talk, this.#session, () => this.#state.isHolding);
    else {
      this.#undoHold?.();
      this.#undoHold = null;
    }
  }

  /** Keeps the focus in the widget: it would be lost with what is hidden. */
  #moveFocus(): void {
    const { phase, talkMode } = this.#state;
    // On a phone, focus in the text would open the on-screen keyboard.
    const writes = talkMode === "open" && matchMedia("(hover: hover) and (pointer: fine)").matches;
    if (phase === "connecting") this.#panel.focus();
    if (phase === "live") (writes ? this.#text : this.#talk).focus();
    if (phase === "idle" || phase === "away") (this.#launcher.hidden ? this.#call : this.#launcher).focus();
  }
}
