// The two ways in which the gateway fails a caller.

import type { ProblemBody } from "./contract.js";

const BUSY = new Set([
  "QUOTA_EXCEEDED",
  "CAPACITY_EXCEEDED",
  "AVATAR_CAPACITY_EXCEEDED",
  "CLOUD_BUSY",
  "CLOUD_NO_CAPACITY",
  "CLOUD_RATE_LIMITED",
  "RATE_LIMITED",
  "TALK_RATE_EXCEEDED",
]);

/** The gateway refused, or reported a failure. Go by `reason`; docs/errors.md lists them all. */
export class Problem extends Error {
  override readonly name = "Problem";
  /** HTTP status, as it is or would be. */
  readonly status: number;
  readonly reason: string;
  /** Which members of the request broke which rule; empty where that is not the problem. */
  readonly violations: readonly Violation[];
  readonly metadata: Readonly<Record<string, string>>;
  /** What to tell whoever runs the gateway; empty where it is not known. */
  readonly requestId: string;
  /** How long to wait before the next try, where the gateway says so. */
  readonly retryAfterMs: number | undefined;

  constructor(body: ProblemBody, retryAfterMs?: number) {
    super(body.detail);
    this.status = body.status;
    this.reason = body.reason;
    this.violations = body.violations ?? [];
    this.metadata = body.metadata ?? {};
    this.requestId = body.requestId ?? "";
    this.retryAfterMs = retryAfterMs;
  }

  /** Whether there is no room for now: the same may be granted in a moment. */
  get isBusy(): boolean {
    return BUSY.has(this.reason);
  }
}

export type Violation = NonNullable<ProblemBody["violations"]>[number];

/** The gateway does not answer. */
export class Unreachable extends Error {
  override readonly name: string = "Unreachable";
}

/** The browser keeps the gateway's answers from this page: pages of its origin may not call. */
export class OriginRefused extends Unreachable {
  override readonly name = "OriginRefused";
  readonly origin: string;

  constructor(origin: string) {
    super(`Pages of ${origin} may not call: the gateway's GATEWAY_ALLOWED_ORIGINS must have this origin.`);
    this.origin = origin;
  }
}

/** Returns the problem that an answer reports, also where something else than the gateway answered. */
export async function problemOf(response: Response): Promise<Problem> {
  const seconds = Number(response.headers.get("Retry-After") ?? NaN);
  const retryAfterMs = Number.isFinite(seconds) ? seconds * 1000 : undefined;
  const isProblem = response.headers.get("Content-Type")?.startsWith("application/problem+json");
  if (isProblem) return new Problem((await response.json()) as ProblemBody, retryAfterMs);
  return new Problem({ status: response.status, reason: "INTERNAL", detail: response.statusText }, retryAfterMs);
}
