// The language of the page itself.

import { en, type Key } from "./locales/en";
import { zh } from "./locales/zh";

export type { Key };

const LANGUAGE = "parley.language";
const TEXTS = { en, zh };
type Language = keyof typeof TEXTS;

const listeners = new Set<() => void>();
let current: Language = preferred();

function preferred(): Language {
  const chosen = localStorage.getItem(LANGUAGE) ?? navigator.language;
  return chosen.startsWith("zh") ? "zh" : "en";
}

export function language(): Language {
  return current;
}

/** Returns the text for a key, with its `{names}` filled in. */
export function t(key: Key, values: Record<string, string> = {}): string {
  return TEXTS[current][key].replace(/\{(\w+)\}/g, (_, name: string) => values[name] ?? "");
}

export function isKey(text: string): text is Key {
  return text in en;
}

/** Calls back now, and whenever the language changes. */
export function onLanguage(listener: () => void): void {
  listeners.add(listener);
  listener();
}

export function toggleLanguage(): void {
  current = current === "en" ? "zh" : "en";
  localStorage.setItem(LANGUAGE, current);
  for (const listener of listeners) listener();
}

/** Fills in what the document marks with `data-t` (its text) and `data-t-label` (its name). */
export function translateDocument(): void {
  document.documentElement.lang = current;
  for (const element of document.querySelectorAll<HTMLElement>("[data-t]")) {
    const key = element.dataset["t"] ?? "";
    if (isKey(key)) element.textContent = t(key);
  }
  for (const element of document.querySelectorAll<HTMLElement>("[data-t-label]")) {
    const key = element.dataset["tLabel"] ?? "";
    if (!isKey(key)) continue;
    element.setAttribute("aria-label", t(key));
    element.title = t(key);
  }
}
