// The face of the digital human.

import { type ComponentPropsWithRef, type CSSProperties, type ReactElement, useEffect, useRef } from "react";
import type { Parley } from "./use_parley.js";

export interface ParleyAvatarProps extends Omit<ComponentPropsWithRef<"div">, "children" | "ref"> {
  readonly parley: Parley;
}

/** Shows the face, or a portrait until it is there. Give it a size. */
export function ParleyAvatar({ parley, style, ...rest }: ParleyAvatarProps): ReactElement {
  const container = useRef<HTMLDivElement>(null);
  const { show, persona } = parley;
  useEffect(() => (container.current ? show(container.current) : undefined), [show]);
  const placed: CSSProperties = { position: "relative", overflow: "hidden", ...style };
  return <div role="img" aria-label={persona?.displayName ?? ""} {...rest} ref={container} style={placed} data-status={parley.status} />;
}
