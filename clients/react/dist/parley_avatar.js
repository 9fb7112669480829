import { jsx as _jsx } from "react/jsx-runtime";
// The face of the digital human.
import { useEffect, useRef } from "react";
/** Shows the face, or a portrait until it is there. Give it a size. */
export function ParleyAvatar({ parley, style, ...rest }) {
    const container = useRef(null);
    const { show, persona } = parley;
    useEffect(() => (container.current ? show(container.current) : undefined), [show]);
    const placed = { position: "relative", overflow: "hidden", ...style };
    return _jsx("div", { role: "img", "aria-label": persona?.displayName ?? "", ...rest, ref: container, style: placed, "data-status": parley.status });
}
