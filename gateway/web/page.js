// The plain client: starts a call, plays the sound, sends questions, shows what is said.

const API = "/api/digital-human";
const GATHERING_MS = 2000;
const WHEP_TRIES = 20;
const element = (id) => document.getElementById(id);

/** A failure that the server told of. */
class Problem extends Error {
  constructor(problem) {
    super(problem.detail ?? problem.title);
    this.status = problem.status;
  }
}

// Calls of the gateway

function headers(more = {}) {
  const key = sessionStorage.getItem("key");
  return key ? { Authorization: `Bearer ${key}`, ...more } : more;
}

async function call(path, { json, ...options } = {}) {
  const request = { method: json ? "POST" : "GET", ...options };
  if (json) {
    request.body = JSON.stringify(json);
    request.headers = { "Content-Type": "application/json", ...options.headers };
  }
  const response = await fetch(path, { ...request, headers: headers(request.headers) });
  if (!response.ok) {
    const isProblem = response.headers.get("Content-Type")?.includes("problem+json");
    const fallback = { status: response.status, detail: `The server answered ${response.status}.` };
    throw new Problem(isProblem ? await response.json() : fallback);
  }
  return response;
}

const callJson = async (path, options) => (await call(path, options)).json();

/** Yields `{event, data}` of an answer that is an event stream. */
async function* readEvents(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (pending + value).split("\n\n");
      pending = blocks.pop();
      for (const block of blocks) {
        const fields = Object.fromEntries(
          block
            .split("\n")
            .filter((line) => !line.startsWith(":"))
            .map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]),
        );
        if (fields.event) yield { event: fields.event, data: JSON.parse(fields.data) };
      }
    }
  } finally {
    await reader.cancel();
  }
}

// Sound

/** Plays a WHEP stream; returns how to leave it. */
async function playWhep(url, token) {
  const connection = new RTCPeerConnection();
  connection.addTransceiver("audio", { direction: "recvonly" });
  connection.addTransceiver("video", { direction: "recvonly" });
  connection.ontrack = ({ track, streams }) => {
    if (track.kind === "audio") element("sound").srcObject = streams[0] ?? new MediaStream([track]);
  };
  try {
    await connection.setLocalDescription();
    await gathered(connection);
    const response = await offer(url, token, connection.localDescription.sdp);
    await connection.setRemoteDescription({ type: "answer", sdp: await response.text() });
    const location = response.headers.get("Location");
    const viewer = location && new URL(location, url);
    return () => {
      connection.close();
      element("sound").srcObject = null;
      if (viewer) fetch(viewer, { method: "DELETE", keepalive: true }).catch(() => {});
    };
  } catch (error) {
    connection.close();
    throw error;
  }
}

function gathered(connection) {
  return new Promise((resolve) => {
    const check = () => connection.iceGatheringState === "complete" && resolve();
    connection.addEventListener("icegatheringstatechange", check);
    setTimeout(resolve, GATHERING_MS);
    check();
  });
}

async function offer(url, token, sdp) {
  for (let attempt = 0; attempt < WHEP_TRIES; attempt++) {
    const response = await fetch(url, {
      method: "POST",
      body: sdp,
      headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${token}` },
    });
    if (response.ok) return response;
    // 409: not on air yet.
    if (response.status !== 409) throw new Error(`The video server answered ${response.status}.`);
    const seconds = Number(response.headers.get("Retry-After")) || 1;
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  }
  throw new Error("The digital human did not come on air.");
}

async function play({ playback, token }) {
  if (playback.protocol === "WHEP") return playWhep(playback.url, token);
  show("note", "The vendor's player comes with the full web client: here the call has no sound.");
  return () => show("note", "");
}

// What is shown

function show(id, text) {
  element(id).textContent = text;
  element(id).hidden = !text;
}

function showState(state, text) {
  element("stage").dataset.state = state;
  element("state").textContent = text;
}

function showCall(isOn) {
  element("controls").hidden = !isOn;
  element("choices").hidden = isOn;
  element("start").disabled = false;
}

function showError(error) {
  element("key-form").hidden = error.status !== 401;
  show("problem", error.status === 401 ? "" : error.message);
}

function addCaption(className, text = "") {
  const caption = document.createElement("li");
  caption.className = className;
  caption.textContent = text;
  element("captions").append(caption);
  caption.scrollIntoView({ block: "end" });
  return caption;
}

/** Shows the events of one turn. */
class TurnView {
  #question = null;
  #reply = null;
  #text = "";

  show({ event, data }) {
    switch (event) {
      case "transcript_updated":
        this.#ask(data.text);
        break;
      case "turn_started":
        this.#ask(data.transcript);
        break;
      case "reply_updated":
        this.#text += data.delta;
        this.#answer(this.#text);
        break;
      case "playback_started":
        showState("speaking", "Speaking");
        break;
      case "turn_finished":
        this.#finish(data.reply, data.heard);
        break;
      case "turn_failed":
        throw new Problem(data.problem);
      case "problem":
        throw new Problem(data);
    }
  }

  #ask(text) {
    this.#question ??= addCaption("user");
    this.#question.textContent = text;
  }

  #answer(text) {
    this.#reply ??= addCaption("reply");
    this.#reply.textContent = text;
  }

  #finish(reply, heard) {
    this.#answer(heard);
    if (reply.startsWith(heard) && heard !== reply) {
      const unheard = document.createElement("s");
      unheard.textContent = reply.slice(heard.length);
      this.#reply.append(unheard);
    }
  }
}

// The call

/** A running call. */
class Call {
  #leave = () => {};
  #watching = new AbortController();
  #turns = 0;

  constructor(taskId) {
    this.taskId = taskId;
  }

  static async start(choice) {
    const id = crypto.randomUUID();
    const names = { roomId: `room_${id}`, streamId: `stream_${id}` };
    const task = await callJson(`${API}/create-task`, { json: { ...names, ...choice } });
    const started = new Call(task.taskId);
    try {
      const query = new URLSearchParams({ userId: `user_${id}`, ...names });
      started.#leave = await play(await callJson(`/api/token?${query}`));
    } catch (error) {
      await started.stop();
      throw error;
    }
    return started;
  }

  /** Resolves when the task ends, whoever ended it, with the reason. */
  async ended() {
    const response = await call(`${API}/tasks/${this.taskId}/events`, {
      signal: this.#watching.signal,
    });
    for await (const { data } of readEvents(response)) {
      if (["STOPPED", "FAILED"].includes(data.task?.state)) return data.task.stopReason ?? "FAILED";
    }
    return "CLOUD";
  }

  /** Asks; `question` is the body of talk-to-ai. */
  async ask(question) {
    const view = new TurnView();
    this.#turns += 1;
    showState("on-air", "Thinking");
    try {
      const options =
        question instanceof FormData ? { method: "POST", body: question } : { json: question };
      const response = await call(`${API}/talk-to-ai`, {
        ...options,
        headers: { Accept: "text/event-stream" },
      });
      for await (const event of readEvents(response)) view.show(event);
    } finally {
      this.#turns -= 1;
      if (!this.isBusy) showState("on-air", "On air");
    }
  }

  askText(text) {
    return this.ask({ taskId: this.taskId, text });
  }

  askAudio(recording) {
    const form = new FormData();
    form.append("taskId", this.taskId);
    form.append("audio", recording, "question");
    return this.ask(form);
  }

  get isBusy() {
    return this.#turns > 0;
  }

  interrupt() {
    return callJson(`${API}/interrupt`, { json: { taskId: this.taskId } });
  }

  /** Ends the call; works also while the page goes away. */
  async stop() {
    this.#watching.abort();
    this.#leave();
    await call(`${API}/stop-task`, { json: { taskId: this.taskId }, keepalive: true });
  }
}

/** The microphone: records while it is held. */
class Microphone {
  #stream = null;
  #holding = null;

  hold() {
    this.#holding = this.#record();
    return this.#holding;
  }

  /** Returns what was said, null when nothing was; waits for a microphone that is still opening. */
  async release() {
    const recorder = await this.#holding;
    this.#holding = null;
    if (!recorder) return null;
    return new Promise((resolve) => {
      recorder.ondataavailable = ({ data }) => resolve(data.size ? data : null);
      recorder.stop();
    });
  }

  close() {
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#stream = null;
  }

  async #record() {
    this.#stream ??= await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: true, noiseSuppression: true },
    });
    const recorder = new MediaRecorder(this.#stream);
    recorder.start();
    return recorder;
  }
}

// The page

let current = null;
const microphone = new Microphone();

/** Runs what a click asks for; failures are shown. */
async function attempt(action) {
  show("problem", "");
  try {
    await action();
  } catch (error) {
    if (error.name !== "AbortError") showError(error);
  }
}

async function loadChoices() {
  const config = await callJson("/api/config");
  element("key-form").hidden = true;
  element("persona").replaceChildren(
    ...config.personas.map(({ personaId, displayName }) => new Option(displayName, personaId)),
  );
  element("persona").value = config.defaultPersonaId;
  const showLanguages = () => {
    const persona = config.personas.find((each) => each.personaId === element("persona").value);
    element("lang").replaceChildren(
      ...(persona?.languages ?? config.languages).map((code) => new Option(code, code)),
    );
  };
  element("persona").onchange = showLanguages;
  showLanguages();
}

async function startCall() {
  element("start").disabled = true;
  element("captions").replaceChildren();
  showState("idle", "Calling …");
  try {
    current = await Call.start({
      personaId: element("persona").value || undefined,
      lang: element("lang").value || undefined,
    });
  } catch (error) {
    showState("idle", "Ready");
    showCall(false);
    throw error;
  }
  showState("on-air", "On air");
  showCall(true);
  void attempt(() => watch(current));
}

async function watch(watched) {
  const reason = await watched.ended();
  if (current !== watched) return;
  await endCall();
  show("problem", `The call has ended (${reason.toLowerCase().replace("_", " ")}).`);
}

async function endCall() {
  const ending = current;
  current = null;
  microphone.close();
  showState("idle", "Ready");
  showCall(false);
  await ending?.stop();
}

const isTalking = () => element("talk").dataset.recording !== undefined;

async function beginTalking() {
  if (isTalking()) return;
  element("talk").dataset.recording = "";
  if (current.isBusy) void attempt(() => current.interrupt());
  try {
    await microphone.hold();
  } catch (error) {
    delete element("talk").dataset.recording;
    throw error;
  }
}

async function endTalking() {
  delete element("talk").dataset.recording;
  const recording = await microphone.release();
  if (recording && current) await current.askAudio(recording);
}

function isTalkKey(event) {
  return [" ", "Enter"].includes(event.key) && !event.repeat;
}

element("start").onclick = () => attempt(startCall);
element("stop").onclick = () => attempt(endCall);
element("interrupt").onclick = () => attempt(() => current.interrupt());
element("talk").onpointerdown = () => attempt(beginTalking);
element("talk").onkeydown = (event) => isTalkKey(event) && attempt(beginTalking);
for (const end of ["pointerup", "pointercancel", "keyup", "blur"])
  addEventListener(end, () => isTalking() && attempt(endTalking));

element("text-form").onsubmit = (event) => {
  event.preventDefault();
  const text = element("text").value.trim();
  element("text").value = "";
  if (text) void attempt(() => current.askText(text));
};

element("key-form").onsubmit = (event) => {
  event.preventDefault();
  sessionStorage.setItem("key", element("key").value.trim());
  void attempt(loadChoices);
};

addEventListener("pagehide", () => current?.stop().catch(() => {}));

void attempt(loadChoices);
