import { type ComponentPropsWithRef, type ReactElement, type ReactNode } from "react";
import type { Parley } from "./use_parley.js";
export interface TalkButtonProps extends Omit<ComponentPropsWithRef<"button">, "children" | "ref" | "onClick"> {
    readonly parley: Parley;
    /** Default: "Mute", "Unmute", "Use microphone", "Hold to talk" or "Send". */
    readonly children?: ReactNode;
}
/** Disabled without a call. With talk mode `hold`, a tap begins and another one sends, too. */
export declare function TalkButton({ parley, children, ...rest }: TalkButtonProps): ReactElement;
