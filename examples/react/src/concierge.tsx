// A call with everything that a user needs: the face, captions, the microphone, a text field.

import { Captions, ParleyAvatar, TalkButton, useParley } from "@parley/react";
import { type FormEvent } from "react";

export function Concierge() {
  const parley = useParley();
  const ask = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const input = event.currentTarget.elements.namedItem("question") as HTMLInputElement;
    if (input.value.trim()) parley.ask(input.value);
    input.value = "";
  };
  return (
    <main>
      <ParleyAvatar parley={parley} className="face" />
      <p role="status">{parley.status}</p>
      <Captions parley={parley} className="captions" />
      {parley.problem && (
        <p role="alert">
          {parley.problem.code} {parley.problem.detail} <button onClick={parley.dismiss}>OK</button>
        </p>
      )}
      {parley.isSilenced && <button onClick={parley.playSound}>Turn the sound on</button>}
      {parley.phase !== "live" ? (
        <button onClick={parley.start} disabled={parley.phase === "connecting"}>
          Call
        </button>
      ) : (
        <>
          <form onSubmit={ask}>
            <input name="question" aria-label="Question" autoComplete="off" />
            <button>Ask</button>
          </form>
          <TalkButton parley={parley} />
          <button onClick={parley.interrupt} disabled={!parley.canInterrupt}>
            Interrupt
          </button>
          <button onClick={parley.stop}>Hang up</button>
        </>
      )}
    </main>
  );
}
