// The app leaves the front: for another app, or because the screen goes off.

import { act, screen, waitFor } from "@testing-library/react-native";
import { next, nextMessage, openApp, openCall, press } from "./app";
import type { FakePhone } from "./fake_phone";

/** Has the microphone open only once the user has answered a question. */
function askForMicrophone({ audio }: FakePhone): { asked: Promise<void>; answer: () => void } {
  const asked = Promise.withResolvers<void>();
  const answered = Promise.withResolvers<void>();
  const open = audio.openMicrophone.bind(audio);
  audio.openMicrophone = async () => {
    asked.resolve();
    await answered.promise;
    return open();
  };
  return { asked: asked.promise, answer: answered.resolve };
}

test("In the background the call waits: microphone closed, picture stopped, line left for a minute", async () => {
  const opened = await openApp();
  const { phone } = opened;
  const line = await openCall(opened);
  const player = await next(phone.played);
  act(() => phone.bringToFront(false));
  expect(await nextMessage(line, "leave")).toEqual({ type: "leave", lingerSeconds: 60 });
  await line.closed;
  expect(phone.audio.isEntered).toBe(false);
  expect(player.isStopped).toBe(true);
  await screen.findByText("On hold");
});

test("Back in front the same call goes on", async () => {
  const opened = await openApp();
  const { gateway, phone } = opened;
  const line = await openCall(opened);
  line.send(gateway.event("turn_started", { turnId: 1, origin: "TEXT", transcript: "When do you open?", isPreemptive: false, discardedReplies: 0 }));
  await screen.findByText("When do you open?");
  act(() => phone.bringToFront(false));
  await line.closed;

  act(() => phone.bringToFront(true));
  const again = await next(gateway.lines);
  expect(again.query.get("taskId")).toBe("task_1");
  expect(again.query.get("after")).toBe("1");
  await screen.findByText("When do you open?");
  phone.audio.hear(3);
  await next(again.sound);
  await next(gateway.created);
  expect(gateway.created.size).toBe(0);
});

test("After too long an absence the call is over", async () => {
  const opened = await openApp();
  const { gateway, phone } = opened;
  const line = await openCall(opened);
  act(() => phone.bringToFront(false));
  await line.closed;
  gateway.task = { ...gateway.task, state: "STOPPED", stopReason: "CLIENT_GONE" };
  act(() => phone.bringToFront(true));
  await screen.findByText("The call ended while you were away.");
  expect(phone.audio.isEntered).toBe(false);
});

test("A gateway that is down on return is tried again by the user", async () => {
  const opened = await openApp();
  const { gateway, phone } = opened;
  const line = await openCall(opened);
  act(() => phone.bringToFront(false));
  await line.closed;
  gateway.isUnavailable = true;
  act(() => phone.bringToFront(true));
  await screen.findByText(/A service that is needed does not answer/);
  expect(phone.audio.isEntered).toBe(false);

  gateway.isUnavailable = false;
  press("Try again");
  await next(gateway.lines);
  await screen.findByText("Listening");
});

test("A call that is being set up is not waited for", async () => {
  const opened = await openApp();
  const { gateway, phone } = opened;
  gateway.onAir = new Promise(() => undefined);
  press("Call (en)");
  await next(gateway.created);
  act(() => phone.bringToFront(false));
  await next(gateway.abandoned);
  await screen.findByText("Whom would you like to talk to?");
});

test("A call that is given up while it is set up is stopped once it is on air", async () => {
  const { gateway, phone } = await openApp();
  const onAir = Promise.withResolvers<void>();
  gateway.onAir = onAir.promise;
  press("Call (en)");
  await next(gateway.created);
  press("End call");
  await screen.findByText("Whom would you like to talk to?");
  expect(phone.audio.isEntered).toBe(false);
  onAir.resolve();
  expect(await next(gateway.stopped)).toEqual({ taskId: "task_1" });
});

test("A microphone that was muted is muted on return", async () => {
  const opened = await openApp();
  const { gateway, phone } = opened;
  await openCall(opened);
  press("Mute");
  act(() => phone.bringToFront(false));
  await screen.findByText("On hold");
  act(() => phone.bringToFront(true));
  await next(gateway.lines);
  await screen.findByText("Muted");
  expect(phone.audio.isListening).toBe(false);
});

test("The system's question about the microphone does not end the call that it is asked for", async () => {
  const opened = await openApp();
  const { gateway, phone } = opened;
  const { asked, answer } = askForMicrophone(phone);
  press("Call (en)");
  await act(() => asked);
  act(() => phone.bringToFront(false));
  act(() => phone.bringToFront(true));
  answer();
  const line = await next(gateway.lines);
  await screen.findByText("Listening");
  phone.audio.hear(9);
  await next(line.sound);
});

test("A call that is left again while it is resumed stays left", async () => {
  const opened = await openApp();
  const { gateway, phone } = opened;
  const line = await openCall(opened);
  act(() => phone.bringToFront(false));
  await line.closed;
  const { asked, answer } = askForMicrophone(phone);
  act(() => phone.bringToFront(true));
  await act(() => asked);
  act(() => phone.bringToFront(false));
  answer();
  await screen.findByText("On hold");
  await waitFor(() => expect(phone.audio.isEntered).toBe(false));
  expect([phone.audio.isListening, gateway.lines.size]).toEqual([false, 0]);
});

test("A call that begins after the user has gone is left for a minute", async () => {
  const { gateway, phone } = await openApp();
  const { asked, answer } = askForMicrophone(phone);
  press("Call (en)");
  await act(() => asked);
  act(() => phone.bringToFront(false));
  answer();
  const line = await next(gateway.lines);
  expect(await nextMessage(line, "leave")).toEqual({ type: "leave", lingerSeconds: 60 });
  await screen.findByText("On hold");
  expect([phone.audio.isEntered, gateway.stopped.size]).toEqual([false, 0]);
});
