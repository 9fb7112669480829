import { type Session, type SessionState, Stage } from "@parley/client/ui";
import { type Translate } from "./texts.js";
/** What the page's author has chosen. */
export interface Look {
    readonly isFloating: boolean;
    /** Of the digital human; the empty string where it is not known. */
    readonly name: string;
    readonly portraitUrl: string;
    /** Of the widget's texts. */
    readonly language: string;
    readonly translate: Translate;
}
export declare class View {
    #private;
    readonly stage: Stage;
    constructor(root: ShadowRoot, session: Session, look: Look);
    /** Shows the call, and what may be done about it. */
    render(state: SessionState, look: Look): void;
    /** Shows the microphone's level, 0 to 1. */
    showLevel(level: number): void;
}
