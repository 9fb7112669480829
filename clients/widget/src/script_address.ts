// Where this script comes from, which is told only while it runs for the first time.

const { currentScript } = document;
if (!(currentScript instanceof HTMLScriptElement)) throw new Error("parley.js is no module: load it without type=module");

export const address = currentScript.src;
