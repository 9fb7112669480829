import { type ComponentPropsWithRef, type ReactElement } from "react";
import type { Parley } from "./use_parley.js";
export interface ParleyAvatarProps extends Omit<ComponentPropsWithRef<"div">, "children" | "ref"> {
    readonly parley: Parley;
}
/** Shows the face, or a portrait until it is there. Give it a size. */
export declare function ParleyAvatar({ parley, style, ...rest }: ParleyAvatarProps): ReactElement;
