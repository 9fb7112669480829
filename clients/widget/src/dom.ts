// Builds elements without parsing text, which pages that require Trusted Types do not allow.

type Child = Node | string;
type Attributes = Record<string, string>;

/** Makes an element with attributes and children; an attribute that is the empty string is set as such. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const ICONS = {
  call: "M6.5 3.5h3l1.6 4.3-2.2 1.6a13 13 0 0 0 5.7 5.7l1.6-2.2 4.3 1.6v3a2.5 2.5 0 0 1-2.7 2.5A16.6 16.6 0 0 1 4 6.2 2.5 2.5 0 0 1 6.5 3.5Z",
  close: "m6 6 12 12M18 6 6 18",
  hangup:
    "M12 9.2c-3.4 0-6.5 1-8.7 2.8-.7.6-.8 1.6-.3 2.3l1.2 1.7c.4.6 1.2.8 1.9.5l2.7-1.2c.6-.3 1-.9.9-1.6l-.1-1.1c.8-.2 1.6-.2 2.4-.2s1.6 0 2.4.2l-.1 1.1c-.1.7.3 1.3.9 1.6l2.7 1.2c.7.3 1.5.1 1.9-.5l1.2-1.7c.5-.7.4-1.7-.3-2.3-2.2-1.8-5.3-2.8-8.7-2.8Z",
  interrupt: "M9 7h6a2 2 0 0 1 2 2v6a2 2 0 0 1-2 2H9a2 2 0 0 1-2-2V9a2 2 0 0 1 2-2Z",
  microphone: "M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3ZM5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3",
  muted: "M9 6a3 3 0 0 1 6 0v5.5m-.9 1.6A3 3 0 0 1 9 11V9M5.5 11.5a6.5 6.5 0 0 0 10.6 5M18.5 11.5a6.4 6.4 0 0 1-.6 2.7M12 18v3M4 4l16 16",
  send: "M12 19V5M6 11l6-6 6 6",
  sound: "M4 9.5v5h3.5L12 18.5v-13l-4.5 4H4ZM16 9a4 4 0 0 1 0 6M18.5 6.5a8 8 0 0 1 0 11",
} as const;

const SVG = "http://www.w3.org/2000/svg";

/** A picture beside a text, or within a button that has a name; screen readers skip it. */
export function icon(name: keyof typeof ICONS, className = ""): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  if (className) svg.setAttribute("class", className);
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** Sets a text; one that is the same would be announced again by screen readers. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Names a button that shows only an icon, for screen readers and the pointer. */
export function setName(element: HTMLElement, name: string): void {
  element.setAttribute("aria-label", name);
  element.title = name;
}
