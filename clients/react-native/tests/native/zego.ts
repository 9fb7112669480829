// Stands for the vendor's SDK: it lets viewers in, and a test says what the room reports.

import { View } from "react-native";

export enum ZegoScenario {
  StandardVideoCall = 4,
}
export enum ZegoViewMode {
  AspectFill = 1,
}
export enum ZegoUpdateType {
  Add,
  Delete,
}
export enum ZegoPlayerState {
  NoPlay,
  PlayRequesting,
  Playing,
}
export enum ZegoRoomStateChangedReason {
  LoginFailed = 2,
  ReconnectFailed = 5,
  KickOut = 6,
}

type Listener = (...values: unknown[]) => void;

export default class ZegoExpressEngine {
  /** All that was asked of the SDK, in order. */
  static readonly calls: unknown[][] = [];
  static #only: ZegoExpressEngine | null = null;
  readonly #listeners = new Map<string, Listener>();

  static async setEngineConfig(config: unknown): Promise<void> {
    this.calls.push(["setEngineConfig", config]);
  }

  static async createEngineWithProfile(profile: unknown): Promise<ZegoExpressEngine> {
    if (this.#only) throw new Error("There is an engine already.");
    this.calls.push(["createEngineWithProfile", profile]);
    return (this.#only = new ZegoExpressEngine());
  }

  static async destroyEngine(): Promise<void> {
    this.calls.push(["destroyEngine"]);
    this.#only = null;
  }

  /** What the SDK reports. */
  static report(event: string, ...values: unknown[]): void {
    this.#only?.tell(event, values);
  }

  tell(event: string, values: unknown[]): void {
    this.#listeners.get(event)?.(...values);
  }

  on(event: string, listener: Listener): void {
    this.#listeners.set(event, listener);
  }

  async loginRoom(...values: unknown[]): Promise<{ errorCode: number }> {
    ZegoExpressEngine.calls.push(["loginRoom", ...values]);
    return { errorCode: 0 };
  }

  async startPlayingStream(...values: unknown[]): Promise<void> {
    ZegoExpressEngine.calls.push(["startPlayingStream", ...values]);
  }

  async renewToken(...values: unknown[]): Promise<void> {
    ZegoExpressEngine.calls.push(["renewToken", ...values]);
  }
}

export const ZegoTextureView = View;
