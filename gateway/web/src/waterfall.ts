// A turn's latency by stage, from the last sound of the question to the first of the reply.

import type { Timings } from "@parley/client";
import { make } from "./dom";
import { t, type Key } from "./language";

// In the order in which a turn reaches them, except the drive to the cloud, which opens in parallel.
const STAGES = [
  "endpoint",
  "transcript",
  "firstToken",
  "firstSentence",
  "firstAudio",
  "firstPcmSent",
  "playbackStarted",
] as const;
const ASIDE = "driveReady";

type Stage = (typeof STAGES)[number] | typeof ASIDE;

interface Span {
  stage: Stage;
  fromMs: number;
  toMs: number;
}

/** Returns a chart of a turn's timings; null when there is nothing to show. */
export function makeWaterfall(timings: Timings): HTMLElement | null {
  const totalMs = timings.playbackStartedMs;
  if (!totalMs || totalMs <= 0) return null;
  const spans = toSpans(timings);
  const bar = make("span", "bar");
  bar.setAttribute("aria-hidden", "true");
  bar.append(...spans.filter(({ stage }) => stage !== ASIDE).map((span) => makeMark(span, totalMs)));
  const seconds = (totalMs / 1000).toFixed(2);
  const summary = make("summary", "", make("span", "total", t("waterfall.total", { seconds })), bar);
  const rows = make("ol", "", ...spans.map((span) => makeRow(span, totalMs)));
  rows.setAttribute("aria-label", t("waterfall.explained"));
  return make("details", "waterfall", summary, rows, make("p", "explained", t("waterfall.explained")));
}

function toSpans(timings: Timings): Span[] {
  let fromMs = 0;
  const spans: Span[] = [];
  for (const stage of STAGES) {
    const toMs = timings[`${stage}Ms`];
    if (toMs === undefined) continue;
    // A preemptive reply reaches its first stages before the question has ended.
    spans.push({ stage, fromMs: Math.max(0, Math.min(fromMs, toMs)), toMs: Math.max(0, toMs) });
    fromMs = Math.max(fromMs, toMs);
  }
  const asideMs = timings[`${ASIDE}Ms`];
  if (asideMs !== undefined) spans.splice(-2, 0, { stage: ASIDE, fromMs: 0, toMs: Math.max(0, asideMs) });
  return spans;
}

function makeRow(span: Span, totalMs: number): HTMLElement {
  const key: Key = `waterfall.${span.stage}`;
  const track = make("span", "track", makeMark(span, totalMs));
  track.setAttribute("aria-hidden", "true");
  return make("li", "", make("span", "stage", t(key)), track, make("span", "at", `${Math.round(span.toMs)} ms`));
}

function makeMark({ stage, fromMs, toMs }: Span, totalMs: number): HTMLElement {
  const mark = make("i", stage);
  mark.style.insetInlineStart = `${percent(fromMs, totalMs)}%`;
  mark.style.inlineSize = `${percent(toMs, totalMs) - percent(fromMs, totalMs)}%`;
  return mark;
}

function percent(part: number, whole: number): number {
  return Math.min(100, (part / whole) * 100);
}
