// The parts of a WebSocket that a line needs: browsers, React Native, Node and its `ws` have them.

export interface Socket {
  /** Bytes that the network has not taken yet, where that is known. */
  readonly bufferedAmount?: number;
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
  addEventListener(type: "close", listener: (event: { code: number }) => void): void;
  addEventListener(type: "error", listener: () => void): void;
  send(data: string | Int16Array<ArrayBuffer>): void;
  close(): void;
}

export type SocketConstructor = new (url: string, protocols: string[]) => Socket;
