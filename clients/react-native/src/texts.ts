// What the app says of a call, in words.

import { messageOf, type SessionProblem, type SharedKey, TEXTS } from "@parley/client/ui/portable";

const texts: Readonly<Record<SharedKey, string>> = {
  ...TEXTS.en,
  "error.credentials": "The server does not know this key or ticket, or it has expired.",
  "error.microphone-busy": "The microphone does not start. Another app may be using it; you can write instead.",
  "error.microphone-denied": "The microphone is not allowed. Allow it in the settings of the phone, or write instead.",
  "error.microphone-missing": "The microphone does not start. Another app may be using it; you can write instead.",
};

export function translate(key: SharedKey, values: Record<string, string> = {}): string {
  return texts[key].replace(/\{(\w+)\}/g, (_, name: string) => values[name] ?? "");
}

export function textOf(problem: SessionProblem, isAsking = false): string {
  return messageOf(problem, translate, isAsking);
}
