// The microphone: denied, muted, held, and taken by a phone call.

import { act, fireEvent, screen, waitFor } from "@testing-library/react-native";
import { next, nextMessage, openApp, openCall, press } from "./app";

test("Without permission one can still write", async () => {
  const opened = await openApp();
  const { gateway, phone } = opened;
  phone.audio.isAllowed = false;
  press("Call (en)");
  const line = await next(gateway.lines);
  await screen.findByText(/The microphone is not allowed/);
  fireEvent.changeText(screen.getByLabelText("Your question"), "When do you open?");
  press("Send");
  expect(await nextMessage(line, "text")).toMatchObject({ text: "When do you open?" });
});

test("Permission that is given later opens the microphone", async () => {
  const opened = await openApp();
  const { gateway, phone } = opened;
  phone.audio.isAllowed = false;
  press("Call (en)");
  const line = await next(gateway.lines);
  await screen.findByText(/The microphone is not allowed/);
  phone.audio.isAllowed = true;
  press("Unmute");
  await screen.findByText("Listening");
  phone.audio.hear(7);
  await next(line.sound);
});

test("A muted microphone is closed", async () => {
  const opened = await openApp();
  const { phone } = opened;
  await openCall(opened);
  press("Mute");
  await screen.findByText("Muted");
  expect(phone.audio.isListening).toBe(false);
});

test("Holding the button sends what is said meanwhile, and commits it", async () => {
  const opened = await openApp();
  const { gateway, phone } = opened;
  await openCall(opened);
  press("Hands-free");
  const line = await next(gateway.lines);
  expect(line.query.get("turnDetection")).toBe("MANUAL");
  await nextMessage(line, "greet");

  phone.audio.hear(1);
  const button = screen.getByRole("button", { name: "Hold to talk" });
  fireEvent(button, "pressIn");
  phone.audio.hear(2);
  // A tap: it goes on until the next.
  fireEvent(button, "pressOut");
  phone.audio.hear(3);
  fireEvent(screen.getByRole("button", { name: "Stop talking" }), "pressIn");
  phone.audio.hear(4);
  await nextMessage(line, "commit");
  const loudness = [await next(line.sound), await next(line.sound)].map((frame) => frame.readInt16LE(0));
  expect(loudness).toEqual([2, 3]);
  expect(line.sound.size).toBe(0);
});

test("A phone call takes the sound: the digital human falls silent, and listens again afterwards", async () => {
  const opened = await openApp();
  const { phone } = opened;
  const line = await openCall(opened);
  act(() => phone.audio.interrupt(true));
  await screen.findByText("Another app has the phone's sound.");
  await nextMessage(line, "interrupt");
  expect(phone.audio.isListening).toBe(false);

  act(() => phone.audio.interrupt(false));
  await screen.findByText("Listening");
  phone.audio.hear(5);
  await next(line.sound);
});

test("An app that keeps the sound has it taken back by the user", async () => {
  const opened = await openApp();
  const { phone } = opened;
  await openCall(opened);
  act(() => phone.audio.interrupt(true));
  await screen.findByText("Another app has the phone's sound.");
  phone.audio.isTaken = false;
  press("Try again");
  await screen.findByText("Listening");
  expect(phone.audio.isListening).toBe(true);
});

test("A muted microphone stays muted after a phone call", async () => {
  const opened = await openApp();
  const { phone } = opened;
  await openCall(opened);
  press("Mute");
  act(() => phone.audio.interrupt(true));
  act(() => phone.audio.interrupt(false));
  await screen.findByText("Muted");
  await waitFor(() => expect(screen.queryByText("Another app has the phone's sound.")).toBeNull());
  expect(phone.audio.isListening).toBe(false);
});

test("A microphone that fails is reported, and can be opened again", async () => {
  const opened = await openApp();
  const { phone } = opened;
  await openCall(opened);
  act(() => phone.audio.fail());
  await screen.findByText(/The microphone does not start/);
  press("Unmute");
  await screen.findByText("Listening");
});

test("A permission that is withdrawn meanwhile is told as such", async () => {
  const opened = await openApp();
  const { phone } = opened;
  await openCall(opened);
  press("Mute");
  await screen.findByText("Muted");
  phone.audio.isAllowed = false;
  press("Unmute");
  await screen.findByText(/The microphone is not allowed/);
});

test("A microphone that cannot be taken back is told, and nobody is said to be listening", async () => {
  const opened = await openApp();
  const { phone } = opened;
  await openCall(opened);
  act(() => phone.audio.interrupt(true));
  await screen.findByText("Another app has the phone's sound.");
  phone.audio.isTaken = phone.audio.isAllowed = false;
  press("Try again");
  await screen.findByText(/The microphone is not allowed/);
  expect(screen.queryByText("Listening")).toBeNull();
});
