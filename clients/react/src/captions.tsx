// What is said: the question as it is recognised, the reply word by word as it is heard.

import { captionOf, split, type Turn } from "@parley/client";
import { type ComponentPropsWithRef, type ReactElement, useEffect, useState } from "react";
import type { Parley } from "./use_parley.js";

export interface CaptionsProps extends Omit<ComponentPropsWithRef<"div">, "children"> {
  readonly parley: Parley;
}

/**
 * Shows the last turn as `<p data-role="question">` and `<p data-role="reply">`; in a reply that was cut off, the
 * words that were not heard are `<s>`. Screen readers are told whole replies, once they have ended.
 */
export function Captions({ parley, ...rest }: CaptionsProps): ReactElement {
  const turn = parley.turns.at(-1);
  const { line, picture } = parley.links;
  const isHeard = picture === "connected" && line !== "suspended";
  return (
    <div {...rest} role="log" aria-live="polite" aria-busy={turn !== undefined && !turn.end}>
      {turn?.question ? (
        <p data-role="question" data-final={turn.isQuestionFinal}>
          {turn.question}
        </p>
      ) : null}
      {turn ? <Reply key={turn.id} turn={turn} isHeard={isHeard} /> : null}
    </div>
  );
}

function Reply({ turn, isHeard }: { turn: Turn; isHeard: boolean }): ReactElement {
  const nowMs = useFrames(isHeard && turn.spokenSince !== null && !turn.end);
  if (turn.end) {
    const [heard, unheard] = split(turn.end);
    return (
      <p data-role="reply">
        {heard}
        {unheard ? <s>{unheard}</s> : null}
      </p>
    );
  }
  const spoken = captionOf(turn, nowMs).filter(({ isSpoken }) => isSpoken);
  return <p data-role="reply">{spoken.map(({ text }) => text).join("")}</p>;
}

/** The time of `performance`, read again for each frame while it runs. */
function useFrames(isRunning: boolean): number {
  const [nowMs, setNow] = useState(0);
  useEffect(() => {
    if (!isRunning) return undefined;
    let frame = 0;
    const step = (): void => {
      setNow(performance.now());
      frame = requestAnimationFrame(step);
    };
    step();
    return () => cancelAnimationFrame(frame);
  }, [isRunning]);
  return nowMs;
}
