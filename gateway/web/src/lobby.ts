// Before a call: which digital human, as which character, in which language.

import type { Config, DigitalHuman, Persona } from "@parley/client";
import type { TalkMode } from "@parley/client/ui";
import { find, make } from "./dom";
import { language, t } from "./language";
import { descriptionOf, nameOf } from "./persona";

const CHOICE = "parley.choice";

interface Option {
  value: string;
  label: string;
  picture?: string;
  lang?: string;
}

/** What the user has chosen; empty where there is nothing to choose from. */
export interface Choice {
  personaId: string;
  digitalHumanId: string;
  lang: string;
}

export class Lobby {
  readonly #form = find("lobby", HTMLFormElement);
  readonly #title = find("lobby-title", HTMLHeadingElement);
  readonly #description = find("lobby-description", HTMLParagraphElement);
  readonly #call = find("call", HTMLButtonElement);
  readonly #callText = find("call-text", HTMLSpanElement);
  readonly #hint = find("lobby-hint", HTMLParagraphElement);
  readonly #people = new Choices("people");
  readonly #personas = new Choices("personas");
  readonly #langs = new Choices("langs");
  readonly #onChoice: (person: DigitalHuman | undefined) => void;
  #config: Config | null = null;
  #isCalling = false;
  #talkMode: TalkMode = "open";

  constructor(onCall: () => void, onChoice: (person: DigitalHuman | undefined) => void) {
    this.#onChoice = onChoice;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      onCall();
    });
    this.#form.addEventListener("change", (event) => this.#changed(event.target));
  }

  get choice(): Choice {
    return {
      digitalHumanId: this.#people.value,
      personaId: this.#personas.value,
      lang: this.#langs.value,
    };
  }

  get persona(): Persona | undefined {
    return this.#config?.personas.find(({ personaId }) => personaId === this.#personas.value);
  }

  /** Offers what there is, with what was chosen last time. */
  offer(config: Config): void {
    this.#config = config;
    const last = lastChoice();
    this.#personas.offer(config.personas.map(toCharacter), last.personaId ?? config.defaultPersonaId);
    this.#people.offer(config.digitalHumans.map(toFace), last.digitalHumanId ?? this.persona?.digitalHumanId);
    this.#offerLanguages(last.lang);
    this.translate();
    this.#onChoice(this.#person);
  }

  /** Shows whether a call is being set up, and how the user will talk. */
  show({ isCalling, talkMode }: { isCalling: boolean; talkMode: TalkMode }): void {
    this.#isCalling = isCalling;
    this.#talkMode = talkMode;
    this.#showCall();
  }

  focus(): void {
    this.#call.focus();
  }

  /** Renders all texts again, in the page's language. */
  translate(): void {
    this.#personas.offer(this.#config?.personas.map(toCharacter) ?? [], this.#personas.value);
    const { persona } = this;
    this.#title.textContent = persona ? t("lobby.title", { name: nameOf(persona) }) : t("app.title");
    this.#description.textContent = persona ? descriptionOf(persona) : "";
    this.#showCall();
  }

  #showCall(): void {
    this.#call.disabled = !this.#config || this.#isCalling;
    const words = this.#isCalling ? "lobby.calling" : this.#config ? "lobby.call" : "lobby.loading";
    this.#callText.textContent = t(words);
    this.#hint.textContent = t(`lobby.hint.${this.#talkMode}`);
  }

  get #person(): DigitalHuman | undefined {
    return this.#config?.digitalHumans.find(({ digitalHumanId }) => digitalHumanId === this.#people.value);
  }

  #changed(what: EventTarget | null): void {
    // A character brings its own face, which may then be changed.
    if (this.#personas.has(what)) this.#people.choose(this.persona?.digitalHumanId);
    this.#offerLanguages(this.#langs.value);
    this.translate();
    this.#onChoice(this.#person);
    localStorage.setItem(CHOICE, JSON.stringify(this.choice));
  }

  #offerLanguages(chosen: string | undefined): void {
    const codes = this.persona?.languages ?? this.#config?.languages ?? [];
    const wanted = codes.find((code) => code === chosen) ?? codes.find((code) => code.startsWith(language()));
    this.#langs.offer(codes.map(toLanguage), wanted);
  }
}

/** A group of radio buttons; one that leaves no choice is not shown. */
class Choices {
  readonly #group: HTMLFieldSetElement;
  readonly #list: HTMLDivElement;

  readonly #name: string;

  constructor(id: string) {
    this.#name = id;
    this.#group = find(id, HTMLFieldSetElement);
    this.#list = this.#group.querySelector("div") ?? make("div");
  }

  get value(): string {
    return this.#list.querySelector<HTMLInputElement>("input:checked")?.value ?? "";
  }

  has(element: EventTarget | null): boolean {
    return element instanceof Node && this.#list.contains(element);
  }

  /** Chooses one of what is offered. */
  choose(value: string | undefined): void {
    for (const input of this.#list.querySelectorAll("input")) if (input.value === value) input.checked = true;
  }

  offer(options: Option[], chosen: string | undefined): void {
    const isFocused = this.#list.contains(document.activeElement);
    const value = options.some((option) => option.value === chosen) ? chosen : options[0]?.value;
    this.#list.replaceChildren(...options.map((option) => this.#makeOption(option, option.value === value)));
    this.#group.hidden = options.length < 2;
    if (isFocused) this.#list.querySelector<HTMLInputElement>("input:checked")?.focus();
  }

  #makeOption({ value, label, picture, lang }: Option, isChosen: boolean): HTMLLabelElement {
    const input = make("input");
    Object.assign(input, { type: "radio", name: this.#name, value, checked: isChosen });
    const option = make("label", "", input);
    if (lang) option.lang = lang;
    if (picture) option.append(Object.assign(make("img"), { src: picture, alt: "" }));
    option.append(make("span", "", label));
    return option;
  }
}

function toFace({ digitalHumanId, displayName, avatarUrl }: DigitalHuman): Option {
  return { value: digitalHumanId, label: displayName ?? digitalHumanId, ...(avatarUrl && { picture: avatarUrl }) };
}

function toCharacter(persona: Persona): Option {
  return { value: persona.personaId, label: nameOf(persona) };
}

function toLanguage(code: string): Option {
  return { value: code, label: new Intl.DisplayNames([code], { type: "language" }).of(code) ?? code, lang: code };
}

function lastChoice(): Partial<Choice> {
  try {
    return (JSON.parse(localStorage.getItem(CHOICE) ?? "{}") as Partial<Choice> | null) ?? {};
  } catch {
    return {};
  }
}
