// Asks a digital human a spoken question over gRPC, and prints what happens as lines of JSON.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { type CallOptions, type ClientDuplexStream, credentials, Metadata } from "@grpc/grpc-js";
import { type ServiceError, status } from "@grpc/grpc-js";

import { AudioEncoding } from "../gen/digitalhuman/audio/v1/audio.js";
import { type ConverseRequest, type ConverseResponse, ConverseSetup } from "../gen/digitalhuman/speech/v1/speech.js";
import { ListPersonasRequest, ReplyOutput, SpeechServiceClient } from "../gen/digitalhuman/speech/v1/speech.js";
import { TurnDetection } from "../gen/digitalhuman/speech/v1/speech.js";
import { CreateTaskRequest, GetTaskRequest, StopTaskRequest } from "../gen/digitalhuman/task/v1/task.js";
import { type Task, TaskServiceClient, taskStateToJSON, WatchTaskRequest } from "../gen/digitalhuman/task/v1/task.js";
import type { WatchTaskResponse } from "../gen/digitalhuman/task/v1/task.js";
import { BadRequest, ErrorInfo } from "../gen/google/rpc/error_details.js";
import { Status } from "../gen/google/rpc/status.js";

const [CHUNK_BYTES, CHUNK_MS] = [3200, 100]; // at 16 kHz
const REOPEN_MS = 1000;
const { env } = process;

/** The policy that comes with the protos: retries and timeouts. */
function policy(): string {
  const folder = env["PARLEY_PROTOS"] ?? "";
  try {
    return readFileSync(`${folder}/service_config.json`, "utf-8");
  } catch {
    console.error(`PARLEY_PROTOS is "${folder}", where no service_config.json is: set it to the folder of the unpacked bundle, which make protos-bundle packs`);
    process.exit(2);
  }
}

const metadata = new Metadata({ waitForReady: true }); // Node's library does not read this from the policy.
metadata.set("authorization", `Bearer ${env["PARLEY_SERVICE_TOKEN"]}`);
const options = { "grpc.service_config": policy() };
const plain = credentials.createInsecure();
const tasks = new TaskServiceClient(env["PARLEY_TASK"] ?? "127.0.0.1:50051", plain, options);
const speech = new SpeechServiceClient(env["PARLEY_SPEECH"] ?? "127.0.0.1:50052", plain, options);

type Done<A> = (error: ServiceError | null, answer: A) => void;
type Method<Q, A> = (request: Q, metadata: Metadata, options: Partial<CallOptions>, done: Done<A>) => unknown;
function call<Q, A>(client: object, method: Method<Q, A>, request: Q): Promise<A> {
  return new Promise((resolve, reject) => {
    method.call(client, request, metadata, {}, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}

const tell = (event: string, more: object): void => console.log(JSON.stringify({ event, ...more }));

/** What a failed call's status says: its code, the reason, and the fields that are wrong. */
function failure({ code, message, details }: Status): object {
  const find = (type: string) => details.find((each) => each.typeUrl.endsWith(`/google.rpc.${type}`))?.value;
  const [info, request] = [find("ErrorInfo"), find("BadRequest")];
  const fields = request ? BadRequest.decode(request).fieldViolations.map((each) => each.field) : [];
  return { code: status[code], reason: info ? ErrorInfo.decode(info).reason : "", fields, message };
}

function failureOf({ code, details: message, metadata }: ServiceError): object {
  const [sent] = metadata.get("grpc-status-details-bin");
  return failure(sent instanceof Buffer ? Status.decode(sent) : { code, message, details: [] });
}

async function open(): Promise<Task> {
  const taskId = env["PARLEY_TASK_ID"];
  if (taskId) {
    return (await call(tasks, tasks.getTask, GetTaskRequest.fromPartial({ taskId }))).task!;
  }
  const streamId = env["PARLEY_STREAM_ID"] ?? randomUUID();
  const request = { requestId: randomUUID(), roomId: streamId, streamId, personaId: env["PARLEY_PERSONA"] ?? "" };
  return (await call(tasks, tasks.createTask, CreateTaskRequest.fromPartial(request))).task!;
}

/** Prints the states of the task until it has ended. */
async function watch(taskId: string): Promise<void> {
  const updates: AsyncIterable<WatchTaskResponse> =
    tasks.watchTask(WatchTaskRequest.fromPartial({ taskId, afterSequence: 0 }), metadata);
  for await (const { update } of updates) {
    if (update?.$case === "event" && update.value.event?.$case === "stateChanged") {
      tell("state", { state: taskStateToJSON(update.value.event.value.task!.state) });
    }
  }
}

/** Sends the question as a microphone would; a stream that breaks tells whoever reads it. */
async function ask(stream: ClientDuplexStream<ConverseRequest, ConverseResponse>, pcm: Buffer): Promise<void> {
  for (let at = 0; at < pcm.length; at += CHUNK_BYTES) {
    stream.write({ request: { $case: "audio", value: { pcm: pcm.subarray(at, at + CHUNK_BYTES) } } });
    await pause(CHUNK_MS);
    if (stream.destroyed) {
      return;
    }
  }
  stream.write({ request: { $case: "commit", value: {} } });
  stream.end();
}

/** Asks one question and listens to the answer; returns why there was none. */
async function converse(taskId: string, pcm: Buffer): Promise<object | undefined> {
  const deadline = Date.now() + Number(env["PARLEY_DEADLINE_S"] ?? 120) * 1000;
  const inputFormat = { encoding: AudioEncoding.AUDIO_ENCODING_PCM_S16LE, sampleRateHertz: 16000, channelCount: 1 };
  const [turnDetection, output] = [TurnDetection.TURN_DETECTION_MANUAL, ReplyOutput.REPLY_OUTPUT_AVATAR];
  const setup = ConverseSetup.fromPartial({ taskId, inputFormat, turnDetection, output });
  let isTaken = false; // Once it is, the question need not be sent again.
  let outcome: object | undefined = { code: "UNKNOWN", message: "the question was not answered" };
  for (;;) {
    const stream = speech.converse(metadata, { deadline });
    stream.write({ request: { $case: "setup", value: setup } });
    void (isTaken ? stream.end() : ask(stream, pcm));
    try {
      for await (const { response } of stream as AsyncIterable<ConverseResponse>) {
        if (response?.$case === "ready") {
          setup.resumeAfterSequence = response.value.lastSequence;
          tell("ready", { persona: response.value.personaId });
        } else if (response?.$case === "event") {
          const { sequence, event } = response.value;
          setup.resumeAfterSequence = sequence;
          if (event?.$case === "transcriptUpdated" && event.value.isFinal) {
            tell("transcript", { text: event.value.text });
          } else if (event?.$case === "turnStarted") {
            isTaken = true;
          } else if (event?.$case === "turnFinished") {
            tell("heard", { text: event.value.heardText });
            outcome = undefined;
          } else if (event?.$case === "turnFailed") {
            outcome = failure(event.value.status!);
          }
        }
      }
      return outcome;
    } catch (error) {
      if ((error as ServiceError).code !== status.UNAVAILABLE) {
        return failureOf(error as ServiceError);
      }
      tell("reopening", failureOf(error as ServiceError));
      await pause(REOPEN_MS);
    }
  }
}

async function run(wav: Buffer): Promise<object | undefined> {
  const { personas } = await call(speech, speech.listPersonas, ListPersonasRequest.create());
  personas.forEach(({ personaId }) => tell("persona", { id: personaId }));
  const { taskId } = await open();
  tell("task", { id: taskId });
  const watched = watch(taskId).then(() => undefined, failureOf);
  const outcome = await converse(taskId, wav.subarray(wav.indexOf("data") + 8));
  // Whatever became of the conversation: an avatar on air costs money.
  await call(tasks, tasks.stopTask, StopTaskRequest.fromPartial({ taskId }));
  return (await watched) ?? outcome;
}

const outcome = await run(readFileSync(process.argv[2]!)).catch(failureOf);
if (outcome) {
  tell("error", outcome);
  process.exitCode = 1;
}
tasks.close();
speech.close();
