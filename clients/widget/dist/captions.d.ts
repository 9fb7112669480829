import { type Turn } from "@parley/client";
export declare class Captions {
    #private;
    readonly element: HTMLDivElement;
    /** What screen readers announce: whole sentences, not words. */
    readonly log: HTMLDivElement;
    constructor();
    /** Shows the last of a call's turns; its words appear only while there is sound for them to follow. */
    show(turn: Turn | null, { isHeard, you }: {
        isHeard: boolean;
        you: string;
    }): void;
}
