import { type ComponentPropsWithRef, type ReactElement } from "react";
import type { Parley } from "./use_parley.js";
export interface CaptionsProps extends Omit<ComponentPropsWithRef<"div">, "children"> {
    readonly parley: Parley;
}
/**
 * Shows the last turn as `<p data-role="question">` and `<p data-role="reply">`; in a reply that was cut off, the
 * words that were not heard are `<s>`. Screen readers are told whole replies, once they have ended.
 */
export declare function Captions({ parley, ...rest }: CaptionsProps): ReactElement;
