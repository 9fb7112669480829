// The files of a face, as the engine serves them.

const VERSION = 1;
const NAMES = ["base.webp", "mouth.webp", "eyes.webp"] as const;

export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

export interface Sheet {
  readonly box: Box;
  readonly columns: number;
  readonly count: number;
}

export type Pair = readonly [x: number, y: number];
export type Colour = readonly [red: number, green: number, blue: number];

/** Sizes are in pixels of the picture, except `frame`, in whose pixels the grid's cells are counted. */
export interface Facts {
  readonly version: number;
  readonly frame: Pair;
  readonly picture: Pair;
  readonly mouth: Sheet;
  readonly eyes: Sheet;
  readonly grid: { readonly columns: number; readonly rows: number; readonly start: Pair; readonly step: Pair };
  readonly backdrop: { readonly inner: Colour; readonly outer: Colour };
}

/** A plain colour behind the person; channels and alpha are 0 to 1. */
export interface Background {
  readonly colour: Colour;
  readonly alpha: number;
}

export interface FaceAssets {
  readonly facts: Facts;
  readonly base: ImageBitmap;
  readonly mouth: ImageBitmap;
  readonly eyes: ImageBitmap;
  readonly grid: Uint16Array;
  readonly background: Background | null;
}

/** Loads all files below an address, whose query may name the background. */
export async function loadAssets(address: string, signal: AbortSignal): Promise<FaceAssets> {
  const root = new URL(address, location.href);
  const load = async (name: string): Promise<Response> => {
    const response = await fetch(new URL(name, root), { signal });
    if (!response.ok) throw new Error(`The face has no ${name} (${response.status}).`);
    return response;
  };
  const [facts, grid, [base, mouth, eyes]] = await Promise.all([
    load("meta.json").then((response) => response.json() as Promise<Facts>),
    load("grid.f16").then((response) => response.arrayBuffer()),
    Promise.all(NAMES.map(async (name) => decode(await load(name)))),
  ]);
  if (facts.version !== VERSION) throw new Error(`The face is of version ${facts.version}.`);
  if (!base || !mouth || !eyes) throw new Error("The face is not whole.");
  const background = readColour(root.searchParams.get("background"));
  return { facts, base, mouth, eyes, grid: new Uint16Array(grid), background };
}

async function decode(response: Response): Promise<ImageBitmap> {
  // The base's colours are premultiplied by its alpha.
  return createImageBitmap(await response.blob(), { premultiplyAlpha: "none", colorSpaceConversion: "none" });
}

/** Reads #rrggbb or #rrggbbaa. */
function readColour(text: string | null): Background | null {
  const [, digits] = text?.match(/^#([0-9a-f]{6}(?:[0-9a-f]{2})?)$/i) ?? [];
  if (!digits) return null;
  const channel = (index: number): number => Number.parseInt(digits.slice(index * 2, index * 2 + 2) || "ff", 16) / 255;
  return { colour: [channel(0), channel(1), channel(2)], alpha: channel(3) };
}
