import { type IssuedTicket } from "@parley/client";
/**
 * Asks an address for a ticket, with the cookies of the page's own site. Once there is a task,
 * `?taskId=` names the one that the ticket must open. The answer is that of the gateway, or at least
 * `{"ticket": "parley_ticket_…"}`.
 */
export declare function fetchTicket(url: string, taskId: string | undefined): Promise<IssuedTicket>;
