// Opens the app as a user does.

import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react-native";
import { App } from "../src/App";
import { FakeGateway, type GatewayLine } from "./fake_gateway";
import { FakePhone } from "./fake_phone";
import type { Queue } from "./queue";

export interface Opened {
  readonly gateway: FakeGateway;
  readonly phone: FakePhone;
}

const gateways: FakeGateway[] = [];
afterEach(async () => {
  // First: it hangs up.
  cleanup();
  await Promise.all(gateways.splice(0).map((gateway) => gateway.close()));
});

/** The app at the list of whom to call. */
export async function openApp(): Promise<Opened> {
  const gateway = await FakeGateway.open();
  gateways.push(gateway);
  const phone = new FakePhone();
  render(<App phone={phone} />);
  fireEvent.changeText(screen.getByLabelText("Address of the gateway"), gateway.address);
  fireEvent.press(screen.getByRole("button", { name: "Continue" }));
  await screen.findByText("Concierge");
  return { gateway, phone };
}

/** The app in a call, with its line. */
export async function openCall(opened: Opened): Promise<GatewayLine> {
  fireEvent.press(screen.getByRole("button", { name: "Call (en)" }));
  const line = await next(opened.gateway.lines);
  await screen.findByText("Listening");
  return line;
}

/** Returns what comes next, while the app goes on. */
export async function next<T>(queue: Queue<T>): Promise<T> {
  await waitFor(() => expect(queue.size).toBeGreaterThan(0));
  return queue.take();
}

/** Returns the next message of a kind. */
export async function nextMessage(line: GatewayLine, type: string): Promise<Record<string, unknown>> {
  for (;;) {
    const message = await next(line.messages);
    if (message["type"] === type) return message;
  }
}

export function press(name: string): void {
  fireEvent.press(screen.getByRole("button", { name }));
}
