// A call as a user has it.

import { act, fireEvent, screen, waitFor } from "@testing-library/react-native";
import { next, nextMessage, openApp, openCall, press } from "./app";

const LEDGER = { sentenceCount: 1, producedMs: 1000, sentMs: 1000, playedMs: 1000 } as never;

test("Calls a persona, shows its picture, and hears the user", async () => {
  const opened = await openApp();
  const { gateway, phone } = opened;
  const line = await openCall(opened);
  const body = await next(gateway.created);
  expect(body).toMatchObject({ personaId: "concierge", lang: "en", greetWhen: "WATCHED", maxAbsenceSeconds: 60 });
  expect(line.query.get("turnDetection")).toBe("SERVER");
  await nextMessage(line, "greet");

  phone.audio.hear(1000);
  const frame = await next(line.sound);
  expect(new Int16Array(new Uint8Array(frame).buffer)).toEqual(new Int16Array(320).fill(1000));
});

test("Shows the question, and the reply as it is spoken; strikes out what was not heard", async () => {
  const opened = await openApp();
  const { gateway } = opened;
  const line = await openCall(opened);
  line.send(gateway.event("turn_started", { turnId: 1, origin: "SPEECH", transcript: "When do you open?", isPreemptive: false, discardedReplies: 0 }));
  await screen.findByText("When do you open?");
  const words = [{ start: 0, end: 2, startMs: 0, endMs: 200 }, { start: 3, end: 7, startMs: 200, endMs: 500 }] as never;
  line.send(gateway.event("sentence_started", { turnId: 1, text: "We open at nine.", textStart: 0, textEnd: 16, audioOffsetMs: 0, words }));
  line.send(gateway.event("playback_started", { turnId: 1 }));
  await screen.findByText("We open at nine.");
  await screen.findByText("Speaking");

  line.send(
    gateway.event("turn_finished", {
      turnId: 1, reply: "We open at nine.", heard: "We open", interrupted: true, timings: {}, ledger: LEDGER, toolCalls: [],
    }),
  );
  const unheard = await screen.findByText(" at nine.");
  expect(unheard).toHaveStyle({ textDecorationLine: "line-through" });
});

test("Sends what the user writes, and interrupts", async () => {
  const opened = await openApp();
  const { gateway } = opened;
  const line = await openCall(opened);
  fireEvent.changeText(screen.getByLabelText("Your question"), " Where is the café? ");
  press("Send");
  const { text, requestId } = await nextMessage(line, "text");
  expect(text).toBe("Where is the café?");

  line.send(gateway.event("turn_started", { turnId: 1, origin: "TEXT", isPreemptive: false, discardedReplies: 0, requestId: requestId as string }));
  await waitFor(() => expect(screen.getByRole("button", { name: "Interrupt" })).toBeEnabled());
  await screen.findByText("Thinking");
  press("Interrupt");
  await nextMessage(line, "interrupt");
});

test("Hangs up: the digital human goes off air, and the phone has its sound back", async () => {
  const opened = await openApp();
  const { gateway, phone } = opened;
  await openCall(opened);
  expect(phone.audio.isEntered).toBe(true);
  press("End call");
  expect(await next(gateway.stopped)).toEqual({ taskId: "task_1" });
  await screen.findByText("Whom would you like to talk to?");
  expect(phone.audio.isEntered).toBe(false);
  expect((await next(phone.played)).isStopped).toBe(true);
});

test("Says why a call has ended", async () => {
  const opened = await openApp();
  const { gateway } = opened;
  await openCall(opened);
  gateway.task = { ...gateway.task, state: "STOPPED", stopReason: "IDLE" };
  await screen.findByText("The call ended because nothing was said for a while.");
});

test("Says that the gateway does not answer", async () => {
  const { gateway, phone } = await openApp();
  await act(() => gateway.close());
  press("Call (en)");
  await screen.findByText(/The server does not answer/);
  expect(phone.audio.isEntered).toBe(false);
});

test("Plays again when the picture is lost", async () => {
  const opened = await openApp();
  const { phone } = opened;
  await openCall(opened);
  const first = await next(phone.played);
  first.lose();
  await next(phone.played);
  expect(first.isStopped).toBe(true);
});
