// One call as a component's state, with what the user can do in it.
import { Gateway } from "@parley/client";
import { Microphone } from "@parley/client/microphone";
import { createPlayer } from "@parley/client/players";
import { Session, Stage } from "@parley/client/ui";
import { useEffect, useRef, useState, useSyncExternalStore } from "react";
/** Options are read when a call starts, except the talk mode, which may change during one. */
export function useParley(options = {}) {
    const latest = useRef(options);
    useEffect(() => {
        latest.current = options;
    });
    const [call] = useState(() => new BrowserCall(() => latest.current));
    const { session } = call;
    const state = useSyncExternalStore(session.subscribe, () => session.state, () => session.state);
    const [isSilenced, setSilenced] = useState(false);
    const { talkMode = "open" } = options;
    useEffect(() => session.changeTalkMode(talkMode), [session, talkMode]);
    useEffect(() => call.keep(setSilenced), [call]);
    return { ...state, isSilenced, ...call.actions };
}
/** A session in a browser, with the elements that show it. On a server it does nothing. */
class BrowserCall {
    session;
    actions;
    #stage = null;
    #onSilenced = () => undefined;
    #ending;
    constructor(options) {
        const session = new Session({
            setup: () => {
                const { baseUrl, credential, personaId = "", digitalHumanId = "", lang = "", output = "video", tools = {} } = options();
                return {
                    gateway: new Gateway({ ...(baseUrl !== undefined && { baseUrl }), ...(credential && { credential }) }),
                    request: { personaId, digitalHumanId, lang },
                    createPlayer: (watching) => createPlayer(watching, { screen: this.#shown.screen, output }),
                    tools,
                };
            },
            talkMode: options().talkMode ?? "open",
            microphone: (listener) => {
                const { workletUrl } = options();
                return new Microphone(listener, workletUrl ? { workletUrl } : {});
            },
            listener: {
                onConnected: (call) => options().onConnected?.(call),
                onTurn: (turn) => options().onTurn?.(turn),
                onEnded: (call) => options().onEnded?.(call),
                onProblem: (problem) => options().onProblem?.(problem),
                onLevel: (level) => options().onLevel?.(level),
            },
        });
        this.session = session;
        session.subscribe(() => {
            const { phase, portraitUrl } = session.state;
            this.#stage?.setPortrait(portraitUrl);
            if (phase === "idle")
                this.#stage?.showPoster();
        });
        this.actions = {
            start: () => session.start(),
            stop: () => session.stop(),
            ask: (text) => session.ask(text),
            interrupt: () => session.interrupt(),
            mute: () => session.mute(),
            unmute: () => session.unmute(),
            press: () => session.press(),
            release: () => session.release(),
            cancel: () => session.cancel(),
            retry: () => session.retry(),
            dismiss: () => session.dismiss(),
            playSound: () => this.#shown.play(),
            show: (container) => this.#show(container),
        };
    }
    /** Keeps the call for as long as its component is there; React may take that away for a moment. */
    keep(onSilenced) {
        clearTimeout(this.#ending);
        this.#onSilenced = onSilenced;
        const goAway = () => this.session.goAway();
        addEventListener("pagehide", goAway);
        return () => {
            removeEventListener("pagehide", goAway);
            this.#ending = setTimeout(() => void this.session.stop());
        };
    }
    get #shown() {
        return (this.#stage ??= new Stage((isSilenced) => this.#onSilenced(isSilenced)));
    }
    #show(container) {
        const { element } = this.#shown;
        container.append(element);
        // A video that is moved in the document pauses.
        void this.#shown.play();
        return () => element.remove();
    }
}
