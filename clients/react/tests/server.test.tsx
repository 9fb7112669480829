// @vitest-environment node

import { renderToString } from "react-dom/server";
import { expect, test } from "vitest";
import { Captions, ParleyAvatar, TalkButton, useParley } from "../src/index.js";

function Phone() {
  const parley = useParley({ personaId: "guide" });
  return (
    <main>
      <ParleyAvatar parley={parley} />
      <Captions parley={parley} />
      <TalkButton parley={parley} />
    </main>
  );
}

test("a server renders it without a browser", () => {
  expect("document" in globalThis).toBe(false);
  expect(renderToString(<Phone />)).toContain("Use microphone");
});
