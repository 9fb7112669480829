// When the phone says that its network or the app in front has changed.

import NetInfo from "@react-native-community/netinfo";
import { AppState } from "react-native";
import { thisPhone } from "../src/platform/this_phone";

jest.mock("../src/platform/NativePhoneAudio", () => ({ __esModule: true, default: {} }));
jest.mock("@react-native-community/netinfo", () => ({ configure: jest.fn(), addEventListener: jest.fn() }));

const { configure, addEventListener } = jest.mocked(NetInfo);

test("Nobody is asked whether the internet is there", () => {
  expect(configure.mock.calls[0]?.[0].reachabilityShouldRun?.()).toBe(false);
});

test("A network that is back, and another network, are told; the first and the same are not", () => {
  const listener = jest.fn();
  thisPhone.onNetwork(listener);
  const report = addEventListener.mock.lastCall?.[0] as (state: object) => void;
  const wifi = { isConnected: true, type: "wifi", details: { ipAddress: "192.0.2.1" } };
  const told = [
    wifi,
    { ...wifi, details: { ...wifi.details, strength: 40 } },
    { isConnected: true, type: "cellular", details: { cellularGeneration: "5g" } },
    { isConnected: false, type: "none", details: null },
    wifi,
    { ...wifi, details: { ipAddress: "192.0.2.2" } },
  ].map((state) => {
    listener.mockClear();
    report(state);
    return listener.mock.calls.length;
  });
  expect(told).toEqual([0, 0, 1, 0, 1, 1]);
});

test("A moment's inactivity does not leave the front", () => {
  const listen = jest.spyOn(AppState, "addEventListener");
  const fronts: boolean[] = [];
  thisPhone.onFront((isInFront) => fronts.push(isInFront));
  const report = listen.mock.lastCall?.[1];
  for (const state of ["inactive", "active", "inactive", "background", "active"] as const) report?.(state);
  expect(fronts).toEqual([true, false, true]);
});
