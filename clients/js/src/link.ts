// The state of a connection: of the line, or of picture and sound.

/** `suspended`: the line is open, but the speech service is lost for the moment. */
export type Link = "connecting" | "connected" | "suspended" | "broken" | "given-up";
