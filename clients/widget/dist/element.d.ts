import { type CredentialProvider, type Tools, type Turn } from "@parley/client";
import { type SessionProblem } from "@parley/client/ui";
/** What a script knows of the gateway that it comes from. */
export interface Origin {
    /** Address of the gateway, for elements without a `gateway` attribute; default: the page's own. */
    readonly gateway?: string;
    /** Address of the microphone's worklet; default: beside the package's modules. */
    readonly worklet?: string;
}
export interface ParleyAvatarEvents {
    /** The call is on. */
    "parley-connected": CustomEvent<{
        taskId: string;
        personaId: string;
        lang: string;
    }>;
    /** A turn is over. */
    "parley-turn": CustomEvent<Turn>;
    /** The call is over; `reason` is the task's stop reason, FAILED, or UNSEEN. */
    "parley-ended": CustomEvent<{
        taskId: string;
        reason: string;
    }>;
    /** Something failed; `message` is what the user is told. */
    "parley-error": CustomEvent<SessionProblem & {
        message: string;
    }>;
}
export declare class ParleyAvatar extends HTMLElement {
    #private;
    static readonly observedAttributes: string[];
    /** A credential, or what provides one; in place of `ticket-url`. */
    credential: string | CredentialProvider | null;
    /** Functions that the digital human may call in the page, by the names of the persona's tools. */
    tools: Tools;
    protected readonly origin: Origin;
    constructor();
    /** Starts the call, unless there is one. Resolves when it is on, or has failed. */
    start(): Promise<void>;
    /** Ends the call. */
    stop(): Promise<void>;
    /** Asks in writing, during a call. */
    ask(text: string): void;
    /** Cuts off what is said. */
    interrupt(): void;
    connectedCallback(): void;
    disconnectedCallback(): void;
    attributeChangedCallback(name: string): void;
}
