// The turns of a session, as an immutable list.

import { Conversation, type Turn } from "../conversation.js";

export interface TurnsListener {
  onTurns(turns: readonly Turn[]): void;
  /** A turn is over. */
  onEnd(turn: Turn): void;
}

/** Returns a conversation that tells its turns in order, each a new object once it has changed. */
export function listing({ onTurns, onEnd }: TurnsListener): Conversation {
  let turns: readonly Turn[] = [];
  const replace = (next: readonly Turn[]): void => onTurns((turns = next));
  return new Conversation({
    onTurn: (turn) => {
      // A copy: the conversation goes on changing its own.
      const others = turns.filter(({ id }) => id !== turn.id);
      replace([...others, { ...turn }].sort((one, other) => one.id - other.id));
      if (turn.end) onEnd({ ...turn });
    },
    onTurnGone: ({ id }) => replace(turns.filter((turn) => turn.id !== id)),
  });
}
