// A persona's name and description, in the page's language where it has them.

import type { Persona } from "@parley/client";
import { language } from "./language";

export function nameOf({ displayNames, displayName, personaId }: Persona): string {
  return inPageLanguage(displayNames) ?? displayName ?? personaId;
}

export function descriptionOf({ descriptions, description }: Persona): string {
  return inPageLanguage(descriptions) ?? description ?? "";
}

function inPageLanguage(texts: Record<string, string>): string | undefined {
  return Object.entries(texts).find(([code]) => code.split("-")[0] === language())?.[1];
}
