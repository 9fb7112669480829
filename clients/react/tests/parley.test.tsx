import { act, cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { type ReactElement, StrictMode, useEffect } from "react";
import { afterEach, beforeEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import { type Asked, json, refuse, ServedGateway, stream } from "../../js/tests/support/served_gateway.js";
import type { ServedLine } from "../../js/tests/support/served_line.js";
import { Captions, ParleyAvatar, type ParleyOptions, TalkButton, useParley } from "../src/index.js";

const TASK = { taskId: "task_1", state: "STREAMING", roomId: "room_1", streamId: "stream_1", personaId: "guide", lang: "en" };
const CONFIG = {
  personas: [{ personaId: "guide", displayName: "Guide", languages: ["en"], sampleQuestions: {} }],
  digitalHumans: [],
  defaultPersonaId: "guide",
  languages: ["en"],
  maxAudioSeconds: 60,
};

let served: ServedGateway;

beforeEach(async () => {
  // Node before version 22 has none.
  Object.assign(globalThis, { WebSocket });
  served = await ServedGateway.start();
  served.on("GET /api/config", (_, response) => json(response, CONFIG));
  served.on("POST /api/digital-human/create-task", (_, response) => json(response, TASK));
  served.on("POST /api/digital-human/stop-task", (_, response) => json(response, TASK));
  served.on("GET /api/digital-human/tasks/task_1/events", (_, response) =>
    stream(response, ["snapshot", { task: TASK, lastSequence: 0 }]),
  );
});

afterEach(async () => {
  cleanup();
  await served.stop();
});

/** Resolves with the first request for a path; the requests before it are dropped. */
async function asked(path: string): Promise<Asked> {
  for (;;) {
    const request = await served.asked.next();
    if (request.path === path) return request;
  }
}

function countOf(path: string): number {
  return served.asked.left.filter((each) => each.path === path).length;
}

function Phone({ autoStart = false, ...options }: ParleyOptions & { autoStart?: boolean }): ReactElement {
  const parley = useParley({ baseUrl: served.baseUrl, ...options });
  const { start } = parley;
  useEffect(() => {
    if (autoStart) void start();
  }, [autoStart, start]);
  return (
    <main>
      <ParleyAvatar parley={parley} data-testid="face" />
      <p data-testid="phase">{parley.phase}</p>
      <p data-testid="problem">{parley.problem?.code ?? ""}</p>
      <Captions parley={parley} data-testid="captions" />
      <TalkButton parley={parley} />
      <button onClick={() => void parley.start()}>Call</button>
      <button onClick={() => parley.ask("When do you open?")}>Ask</button>
      <button onClick={() => void parley.stop()}>Hang up</button>
    </main>
  );
}

async function calling(options: ParleyOptions = {}): Promise<ServedLine> {
  render(<Phone {...options} />);
  fireEvent.click(screen.getByText("Call"));
  const line = await served.lines.next();
  await waitFor(() => expect(screen.getByTestId("phase").textContent).toBe("live"));
  line.send({ event: "ready", data: { lastSequence: 0 } });
  return line;
}

function event(sequence: number, name: string, data: object): object {
  return { event: name, sequence, data: { turnId: 1, time: new Date().toISOString(), ...data } };
}

test("strict mode, which runs effects twice, starts one call", async () => {
  render(
    <StrictMode>
      <Phone autoStart />
    </StrictMode>,
  );
  await served.lines.next();
  await waitFor(() => expect(screen.getByTestId("phase").textContent).toBe("live"));
  expect(countOf("/api/digital-human/create-task")).toBe(1);
  expect(countOf("/api/digital-human/stop-task")).toBe(0);
});

test("the call ends with its component", async () => {
  await calling();
  cleanup();
  await asked("/api/digital-human/stop-task");
});

test("a page that is loaded again goes on with the call", async () => {
  served.on("GET /api/digital-human/tasks/task_1", (_, response) => json(response, TASK));
  const line = await calling();
  fireEvent(window, new Event("pagehide"));
  await waitFor(() => expect(screen.getByTestId("phase").textContent).toBe("away"));
  expect(await line.closed).toBeGreaterThan(0);
  // What the next page in the tab does.
  render(<Phone />);
  expect((await served.lines.next()).query.get("taskId")).toBe("task_1");
  await waitFor(() => expect(screen.getAllByTestId("phase").map(({ textContent }) => textContent)).toEqual(["away", "live"]));
  expect(countOf("/api/digital-human/create-task")).toBe(1);
  cleanup();
  // Each ends the call as it has it: left, or live.
  await asked("/api/digital-human/stop-task");
  await asked("/api/digital-human/stop-task");
  await waitFor(() => expect(sessionStorage.length).toBe(0));
});

test("a turn is shown as it is heard", async () => {
  const line = await calling();
  fireEvent.click(screen.getByText("Ask"));
  const { requestId, text } = (await line.messages.next()) as { requestId: string; text: string };
  expect(text).toBe("When do you open?");
  await act(async () => line.send(event(1, "turn_started", { origin: "TEXT", transcript: text, requestId })));
  const captions = screen.getByTestId("captions");
  await waitFor(() => expect(captions.textContent).toContain("When do you open?"));
  const end = { reply: "We open at nine. We close at six.", heard: "We open at nine.", interrupted: true };
  line.send(event(2, "turn_finished", { ...end, timings: {}, toolCalls: [] }));
  await waitFor(() => expect(captions.querySelector("s")?.textContent).toBe(" We close at six."));
  expect(captions.querySelector("[data-role=reply]")?.textContent).toBe(end.reply);
});

test("the digital human calls functions that the app declares", async () => {
  const declaration = { name: "show", description: "Shows a product.", parameters: { type: "object" } };
  const line = await calling({ clientTools: [{ ...declaration, handler: ({ id }) => `Shows ${id}.` }] });
  expect(JSON.parse((await asked("/api/digital-human/create-task")).body).clientTools).toEqual([declaration]);
  line.send(event(1, "tool_called", { callId: "a", name: "show", arguments: '{"id": 7}' }));
  expect(await line.messages.next()).toMatchObject({ type: "tool_result", callId: "a", result: "Shows 7." });
});

test("without a microphone one is told so, and the call goes on", async () => {
  await calling();
  await waitFor(() => expect(screen.getByTestId("problem").textContent).toBe("microphone-insecure"));
  expect(screen.getByRole("button", { name: "Use microphone" })).toHaveProperty("disabled", false);
});

test("a refusal is a problem, and another try may help", async () => {
  served.on("POST /api/digital-human/create-task", (_, response) => refuse(response, 429, "QUOTA_EXCEEDED"));
  const problems: string[] = [];
  render(<Phone onProblem={({ reason }) => problems.push(reason)} />);
  fireEvent.click(screen.getByText("Call"));
  await waitFor(() => expect(screen.getByTestId("problem").textContent).toBe("busy"));
  expect(screen.getByTestId("phase").textContent).toBe("idle");
  expect(problems).toContain("QUOTA_EXCEEDED");
  served.on("POST /api/digital-human/create-task", (_, response) => json(response, TASK));
  fireEvent.click(screen.getByText("Call"));
  await served.lines.next();
});

test("the face has its elements, and the name of who is called", async () => {
  await calling();
  const face = screen.getByTestId("face");
  expect(face.getAttribute("aria-label")).toBe("Guide");
  expect([...face.querySelectorAll("video, canvas, audio, img")].map(({ tagName }) => tagName)).toEqual([
    "IMG",
    "CANVAS",
    "VIDEO",
    "AUDIO",
  ]);
});

test("the button can be held by key", async () => {
  const line = await calling({ talkMode: "hold" });
  expect(line.query.get("turnDetection")).toBe("MANUAL");
  const button = screen.getByRole("button", { name: "Hold to talk" });
  fireEvent.keyDown(button, { key: " " });
  // Without a microphone there is nothing to hold it for.
  await waitFor(() => expect(screen.getByTestId("problem").textContent).toBe("microphone-insecure"));
  await waitFor(() => expect(button.getAttribute("aria-pressed")).toBe("false"));
});
