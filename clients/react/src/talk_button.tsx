// The button for the microphone: mutes an open one, or is held while the user talks.

import { holdToTalk } from "@parley/client/ui";
import { type ComponentPropsWithRef, type ReactElement, type ReactNode, useEffect, useRef } from "react";
import type { Parley } from "./use_parley.js";

export interface TalkButtonProps extends Omit<ComponentPropsWithRef<"button">, "children" | "ref" | "onClick"> {
  readonly parley: Parley;
  /** Default: "Mute", "Unmute", "Use microphone", "Hold to talk" or "Send". */
  readonly children?: ReactNode;
}

const LABELS = { on: "Mute", muted: "Unmute", off: "Use microphone" } as const;

/** Disabled without a call. With talk mode `hold`, a tap begins and another one sends, too. */
export function TalkButton({ parley, children, style, ...rest }: TalkButtonProps): ReactElement {
  const button = useRef<HTMLButtonElement>(null);
  const latest = useRef(parley);
  useEffect(() => {
    latest.current = parley;
  });
  const { phase, talkMode, microphone, isHolding } = parley;
  const isHold = talkMode === "hold";
  useEffect(() => {
    if (!isHold || !button.current) return undefined;
    const talk = {
      press: () => latest.current.press(),
      release: () => latest.current.release(),
      cancel: () => latest.current.cancel(),
    };
    return holdToTalk(button.current, talk, () => latest.current.isHolding);
  }, [isHold]);
  const toggle = (): void => {
    if (isHold) return;
    if (microphone === "on") parley.mute();
    else void parley.unmute();
  };
  const label = isHold ? (isHolding ? "Send" : "Hold to talk") : LABELS[microphone];
  return (
    <button
      type="button"
      disabled={phase !== "live"}
      {...(isHold && { "aria-pressed": isHolding })}
      {...rest}
      ref={button}
      // On a touch screen, holding must not scroll.
      style={isHold ? { touchAction: "none", ...style } : style}
      onClick={toggle}
      data-microphone={microphone}
    >
      {children ?? label}
    </button>
  );
}
