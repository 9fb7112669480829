// A line that breaks, and a phone that changes its network.

import { act, fireEvent, screen } from "@testing-library/react-native";
import { next, nextMessage, openApp, openCall, press } from "./app";

test("A line that breaks comes back where it was, and asks what was written meanwhile", async () => {
  const opened = await openApp();
  const { gateway } = opened;
  const line = await openCall(opened);
  line.send(gateway.event("turn_started", { turnId: 1, origin: "TEXT", transcript: "First", isPreemptive: false, discardedReplies: 0 }));
  await screen.findByText("First");
  line.break();
  fireEvent.changeText(screen.getByLabelText("Your question"), "Second");
  press("Send");
  const again = await next(gateway.lines);
  expect(again.query.get("after")).toBe("1");
  expect(await nextMessage(again, "text")).toMatchObject({ text: "Second" });
});

test("Another network gets a new line at once, and loses no question", async () => {
  const opened = await openApp();
  const { gateway, phone } = opened;
  const line = await openCall(opened);
  fireEvent.changeText(screen.getByLabelText("Your question"), "Is it open today?");
  press("Send");
  const { requestId } = await nextMessage(line, "text");
  // Nothing says that the old socket is dead: it is.
  act(() => phone.changeNetwork());
  const again = await next(gateway.lines);
  expect(await nextMessage(again, "text")).toMatchObject({ text: "Is it open today?", requestId });
});
