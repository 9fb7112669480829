import { jsx as _jsx, jsxs as _jsxs } from "react/jsx-runtime";
// What is said: the question as it is recognised, the reply word by word as it is heard.
import { captionOf, split } from "@parley/client";
import { useEffect, useState } from "react";
/**
 * Shows the last turn as `<p data-role="question">` and `<p data-role="reply">`; in a reply that was cut off, the
 * words that were not heard are `<s>`. Screen readers are told whole replies, once they have ended.
 */
export function Captions({ parley, ...rest }) {
    const turn = parley.turns.at(-1);
    const { line, picture } = parley.links;
    const isHeard = picture === "connected" && line !== "suspended";
    return (_jsxs("div", { ...rest, role: "log", "aria-live": "polite", "aria-busy": turn !== undefined && !turn.end, children: [turn?.question ? (_jsx("p", { "data-role": "question", "data-final": turn.isQuestionFinal, children: turn.question })) : null, turn ? _jsx(Reply, { turn: turn, isHeard: isHeard }, turn.id) : null] }));
}
function Reply({ turn, isHeard }) {
    const nowMs = useFrames(isHeard && turn.spokenSince !== null && !turn.end);
    if (turn.end) {
        const [heard, unheard] = split(turn.end);
        return (_jsxs("p", { "data-role": "reply", children: [heard, unheard ? _jsx("s", { children: unheard }) : null] }));
    }
    const spoken = captionOf(turn, nowMs).filter(({ isSpoken }) => isSpoken);
    return _jsx("p", { "data-role": "reply", children: spoken.map(({ text }) => text).join("") });
}
/** The time of `performance`, read again for each frame while it runs. */
function useFrames(isRunning) {
    const [nowMs, setNow] = useState(0);
    useEffect(() => {
        if (!isRunning)
            return undefined;
        let frame = 0;
        const step = () => {
            setNow(performance.now());
            frame = requestAnimationFrame(step);
        };
        step();
        return () => cancelAnimationFrame(frame);
    }, [isRunning]);
    return nowMs;
}
