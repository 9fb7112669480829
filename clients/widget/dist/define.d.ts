import { type Origin } from "./element.js";
/** Defines <parley-avatar>, unless the page has it already. */
export declare function defineParleyAvatar(origin?: Origin): void;
