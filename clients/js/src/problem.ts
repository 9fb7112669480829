// The two ways in which the gateway fails a caller.

import type { ProblemBody } from "./contract.js";

/** The gateway refused, or reported a failure. Go by `reason`; docs/errors.md lists them all. */
export class Problem extends Error {
  override readonly name = "Problem";
  /** HTTP status, as it is or would be. */
  readonly status: number;
  readonly reason: string;
  /** Whether the same may be granted later by itself: when an outage is over, or a limit is free again. */
  readonly recovery: Recovery;
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
    this.recovery = body.recovery ?? recoveryOf(body.status);
    this.violations = body.violations ?? [];
    this.metadata = body.metadata ?? {};
    this.requestId = body.requestId ?? "";
    this.retryAfterMs = retryAfterMs;
  }

  /** Whether a limit is used up for now: the same may be granted later. */
  get isBusy(): boolean {
    return this.recovery === "LIMIT";
  }
}

/** Goes by the status: what is between here and the gateway says no more. */
function recoveryOf(status: number): Recovery {
  if (status === 429) return "LIMIT";
  return status === 503 || status === 504 ? "OUTAGE" : "NONE";
}

export type Recovery = NonNullable<ProblemBody["recovery"]>;
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
