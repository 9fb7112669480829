// How a connection is: the line, or picture and sound.

/** `suspended`: the line holds, but nobody is at its other end for the moment. */
export type Link = "connecting" | "connected" | "suspended" | "broken" | "given-up";
