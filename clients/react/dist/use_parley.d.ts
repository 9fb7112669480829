import { type CredentialProvider, type Tools } from "@parley/client";
import { type Output } from "@parley/client/players";
import { type SessionListener, type SessionState, type TalkMode } from "@parley/client/ui";
export interface ParleyOptions extends SessionListener {
    /** Address of the gateway; default: where the page comes from. */
    readonly baseUrl?: string;
    /** See `tickets` of @parley/client; none for a gateway that is open. */
    readonly credential?: CredentialProvider;
    /** Default: the deployment's. */
    readonly personaId?: string;
    /** The face; default: the persona's. */
    readonly digitalHumanId?: string;
    /** Of the conversation; default: the persona's first. */
    readonly lang?: string;
    /** Default: `open`, into an open microphone. */
    readonly talkMode?: TalkMode;
    /** Default: `video`. */
    readonly output?: Output;
    /** Functions that the digital human may call, by the names of the persona's tools. */
    readonly tools?: Tools;
    /** Where the microphone's worklet is, if a bundler or a policy needs it elsewhere. */
    readonly workletUrl?: string;
}
export interface Parley extends SessionState {
    /** Starts a call, unless there is one. Resolves when it is on, or has failed with a `problem`. */
    start(): Promise<void>;
    stop(): Promise<void>;
    /** Asks in writing. */
    ask(text: string): void;
    /** Cuts off what is said. */
    interrupt(): void;
    mute(): void;
    unmute(): Promise<void>;
    /** With talk mode `hold`: the user begins to talk, has finished, or has changed their mind. */
    press(): Promise<void>;
    release(): void;
    cancel(): void;
    /** Does what may solve the `problem`. */
    retry(): Promise<void>;
    /** Forgets the `problem`, which the user has read. */
    dismiss(): void;
    /** Whether the browser plays no sound before the user clicks something; then `playSound` does. */
    readonly isSilenced: boolean;
    playSound(): Promise<void>;
    /** Shows the face in an element, until what it returns is called; `<ParleyAvatar>` does so. */
    show(container: HTMLElement): () => void;
}
/** Options are read when a call starts, except the talk mode, which may change during one. */
export declare function useParley(options?: ParleyOptions): Parley;
