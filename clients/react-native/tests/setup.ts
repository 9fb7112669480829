// Makes Node what a phone is to the app: the globals that the app provides itself, WebSockets, and a fetch that hands
// out whole answers only.

import "../src/platform/globals";
import { configure } from "@testing-library/react-native";
import { WebSocket } from "ws";

class WholeResponse {}

/** Node's own fetch throws errors of Node, which no class of a test's realm has made. */
const nodeFetch = globalThis.fetch;
const phoneFetch: typeof fetch = (input, init) =>
  nodeFetch(input, init).catch((error: Error) => {
    throw error.name === "TypeError" ? new TypeError(error.message) : error;
  });

Object.assign(globalThis, { WebSocket, Response: WholeResponse, fetch: phoneFetch });

jest.mock("react-native-safe-area-context", () => jest.requireActual("react-native-safe-area-context/jest/mock").default);

configure({ asyncUtilTimeout: 30_000 });
