// How a connection is: the line, or picture and sound.

export type Link = "connecting" | "connected" | "broken" | "given-up";
