// The phone's sound, over what the native module reports.

import { PermissionsAndroid, Platform } from "react-native";
import { nativeAudio } from "../src/platform/native_audio";
import { type Frame, MicrophoneDenied } from "../src/platform/phone_audio";

const mockListeners = new Map<string, (value: unknown) => void>();
const mockOpen = jest.fn<Promise<void>, []>();

jest.mock("../src/platform/NativePhoneAudio", () => {
  const listen = (name: string) => (listener: (value: unknown) => void) => {
    mockListeners.set(name, listener);
    return { remove: () => mockListeners.delete(name) };
  };
  const events = ["onFrame", "onInterruption", "onMicrophoneGone"];
  const native = { openMicrophone: () => mockOpen(), ...Object.fromEntries(events.map((name) => [name, listen(name)])) };
  return { __esModule: true, default: native };
});

beforeEach(() => mockOpen.mockReset().mockResolvedValue(undefined));

test("Frames are samples", () => {
  const frames: Frame[] = [];
  const stop = nativeAudio.listen({
    onFrame: (frame) => frames.push(frame),
    onInterruption: () => undefined,
    onMicrophoneGone: () => undefined,
  });
  const bytes = Buffer.alloc(640);
  bytes.writeInt16LE(-2, 0);
  bytes.writeInt16LE(32_767, 638);
  mockListeners.get("onFrame")?.(bytes.toString("base64"));
  expect(frames[0]).toHaveLength(320);
  expect(frames[0]?.[0]).toBe(-2);
  expect(frames[0]?.[319]).toBe(32_767);
  stop();
  expect(mockListeners.size).toBe(0);
});

describe("Permission", () => {
  test.each(["denied", "never_ask_again"] as const)("that Android reports as %s is denied", async (answer) => {
    jest.replaceProperty(Platform, "OS", "android");
    jest.spyOn(PermissionsAndroid, "request").mockResolvedValue(answer);
    await expect(nativeAudio.openMicrophone()).rejects.toBeInstanceOf(MicrophoneDenied);
    expect(mockOpen).not.toHaveBeenCalled();
  });

  test("that iOS does not give is denied; a microphone that is taken is not", async () => {
    jest.replaceProperty(Platform, "OS", "ios");
    mockOpen.mockRejectedValueOnce(Object.assign(new Error("The microphone is not allowed."), { code: "MICROPHONE_DENIED" }));
    await expect(nativeAudio.openMicrophone()).rejects.toBeInstanceOf(MicrophoneDenied);
    const taken = Object.assign(new Error("There is no microphone."), { code: "MICROPHONE_UNAVAILABLE" });
    mockOpen.mockRejectedValueOnce(taken);
    await expect(nativeAudio.openMicrophone()).rejects.toBe(taken);
  });

  afterEach(() => jest.restoreAllMocks());
});
