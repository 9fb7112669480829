// Fetches tickets from the customer's own server, which holds the key.

import { type IssuedTicket, Problem, Unreachable } from "@parley/client";

const ANSWER_MS = 20_000;

/** For how long a ticket is kept whose end is not told. */
const KEPT_MS = 60_000;

/**
 * Asks an address for a ticket, with the cookies of the page's own site. Once there is a task,
 * `?taskId=` names the one that the ticket must open. The answer is that of the gateway, or at least
 * `{"ticket": "parley_ticket_…"}`.
 */
export async function fetchTicket(url: string, taskId: string | undefined): Promise<IssuedTicket> {
  const address = new URL(url, document.baseURI);
  if (taskId) address.searchParams.set("taskId", taskId);
  const response = await fetch(address, {
    method: "POST",
    credentials: "same-origin",
    headers: { Accept: "application/json" },
    signal: AbortSignal.timeout(ANSWER_MS),
  }).catch((error: unknown) => {
    throw new Unreachable(`The ticket's address does not answer: ${String(error)}`);
  });
  const { status } = response;
  if (!response.ok) throw new Problem({ status, reason: "TICKET_REFUSED", detail: `The ticket's address answers ${status}.` });
  const { ticket, expiresAt } = (await response.json()) as Partial<IssuedTicket>;
  if (!ticket) throw new Problem({ status: 401, reason: "TICKET_REFUSED", detail: "The ticket's address answers without a ticket." });
  return { ticket, expiresAt: expiresAt ?? new Date(Date.now() + KEPT_MS).toISOString() };
}
