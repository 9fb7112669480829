import { jsx as _jsx } from "react/jsx-runtime";
// The button for the microphone: mutes an open one, or is held while the user talks.
import { holdToTalk } from "@parley/client/ui";
import { useEffect, useRef } from "react";
const LABELS = { on: "Mute", muted: "Unmute", off: "Use microphone" };
/** Disabled without a call. With talk mode `hold`, a tap begins and another one sends, too. */
export function TalkButton({ parley, children, ...rest }) {
    const button = useRef(null);
    const latest = useRef(parley);
    useEffect(() => {
        latest.current = parley;
    });
    const { phase, talkMode, microphone, isHolding } = parley;
    const isHold = talkMode === "hold";
    useEffect(() => {
        if (!isHold || !button.current)
            return undefined;
        const talk = {
            press: () => latest.current.press(),
            release: () => latest.current.release(),
            cancel: () => latest.current.cancel(),
        };
        return holdToTalk(button.current, talk, () => latest.current.isHolding);
    }, [isHold]);
    const toggle = () => {
        if (isHold)
            return;
        if (microphone === "on")
            parley.mute();
        else
            void parley.unmute();
    };
    const label = isHold ? (isHolding ? "Send" : "Hold to talk") : LABELS[microphone];
    return (_jsx("button", { type: "button", disabled: phase !== "live", ...(isHold && { "aria-pressed": isHolding }), ...rest, ref: button, onClick: toggle, "data-microphone": microphone, children: children ?? label }));
}
