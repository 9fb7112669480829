// A call on a phone: a session, and what becomes of it while the app is not in front, another app has the sound,
// or the phone changes its network.

import type { CallRequest, Config, Gateway } from "@parley/client";
import { type MicrophoneState, Session } from "@parley/client/ui/portable";
import { PhoneMicrophone } from "./phone_microphone";
import type { Phone } from "./platform/phone";
import type { Picture } from "./players/screen";
import { Store } from "./store";

/** A user who looks at another app for a minute comes back to the same call; afterwards it has ended. */
const LINGER_S = 60;

export class PhoneCall {
  readonly session: Session;
  readonly microphone: PhoneMicrophone;
  readonly screen = new Store<{ readonly picture: Picture | null }>({ picture: null });
  /** What there is to choose from, once it is known. */
  config: Config | null = null;
  #request: CallRequest = {};
  #isInFront = true;
  #microphone: MicrophoneState = "off";
  readonly #unsubscribe: readonly (() => void)[];

  constructor(gateway: Gateway, phone: Phone) {
    const createPlayer = phone.players({ show: (picture) => this.screen.change({ picture }) });
    const microphone = new PhoneMicrophone(phone.audio, () => this.#fallSilent());
    const session = new Session({
      setup: async () => {
        await microphone.enter();
        // Before there is a call: the question whether the app may listen takes it from the front.
        await microphone.opening?.catch(() => undefined);
        return { gateway, request: this.#request, createPlayer, config: this.config };
      },
      microphone: (listener) => Object.assign(microphone, { listener }),
    });
    this.microphone = microphone;
    this.session = session;
    this.#unsubscribe = [
      phone.audio.listen(microphone),
      phone.onNetwork(() => session.reconnect()),
      phone.onFront((isInFront) => {
        this.#isInFront = isInFront;
        if (isInFront) void session.resume();
        else this.#goAway();
      }),
      session.subscribe(() => {
        const { phase, links } = session.state;
        this.#follow(session.state.microphone);
        // Only now it can be left for a while: before there is a line, leaving would end it.
        if (!this.#isInFront && phase === "live" && links.line === "connected") session.goAway(LINGER_S);
      }),
    ];
  }

  /** Ends the call, and listens to the phone no more. */
  async close(): Promise<void> {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    await this.session.stop();
  }

  async start(request: CallRequest): Promise<void> {
    this.#request = request;
    await this.session.start();
  }

  /** Mutes the microphone, or opens it. */
  toggle(): void {
    if (this.session.state.microphone === "on") this.session.mute();
    else void this.session.unmute();
  }

  #follow(state: MicrophoneState): void {
    if (state === this.#microphone) return;
    this.#microphone = state;
    if (state === "muted") this.microphone.rest();
  }

  /** The question about the microphone takes the app from the front before a new call, which waits for the answer. */
  #goAway(): void {
    const { state, trace } = this.session;
    const isAsked = state.phase === "connecting" && !trace && this.microphone.opening;
    if (!isAsked) this.session.goAway(LINGER_S);
  }

  /** Nobody hears what is being said, nor what is being asked. */
  #fallSilent(): void {
    this.session.cancel();
    this.session.interrupt();
  }
}
