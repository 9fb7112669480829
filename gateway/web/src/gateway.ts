// The gateway that serves the page, and what it is shown: a key or a ticket that the user has brought, for this tab.

import { Gateway } from "@parley/client";

const KEY = "parley.key";

export const gateway = new Gateway({ credential: () => sessionStorage.getItem(KEY) ?? "" });

export function useKey(key: string): void {
  sessionStorage.setItem(KEY, key);
}

/** Uses the ticket in `#ticket=…` and removes it from the address, which is kept in histories and shared. */
export function takeTicket(): void {
  const ticket = new URLSearchParams(location.hash.slice(1)).get("ticket");
  if (!ticket) return;
  useKey(ticket);
  history.replaceState(history.state, "", location.pathname + location.search);
}
