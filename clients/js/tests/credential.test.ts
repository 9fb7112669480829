import assert from "node:assert/strict";
import { test } from "node:test";
import { type CredentialProvider, type IssuedTicket, tickets } from "@parley/client";

const HOUR_MS = 3_600_000;

/** A customer's server: it issues tickets with numbers, and notes which task each was asked for. */
class Server {
  readonly asked: (string | undefined)[] = [];
  lifeMs = HOUR_MS;

  readonly issue = async (taskId: string | undefined): Promise<IssuedTicket> => {
    this.asked.push(taskId);
    return { ticket: `ticket_${this.asked.length}`, expiresAt: new Date(Date.now() + this.lifeMs).toISOString() };
  };
}

function serving(): [Server, CredentialProvider] {
  const server = new Server();
  return [server, tickets(server.issue)];
}

const TASK = { purpose: { taskId: "task_1" } };

test("a ticket is fetched once and used until it nears its end", async () => {
  const [server, provide] = serving();
  const shown = await Promise.all([provide({ purpose: "any" }), provide({ purpose: "new-task" })]);
  assert.deepEqual([...shown, await provide(TASK)], ["ticket_1", "ticket_1", "ticket_1"]);
  assert.deepEqual(server.asked, [undefined]);
});

test("one that is at its end is replaced, for the task that it is bound to", async () => {
  const [server, provide] = serving();
  server.lifeMs = 0;
  await provide({ purpose: "new-task" });
  server.lifeMs = HOUR_MS;
  const before = server.asked.length;
  assert.equal(await provide(TASK), await provide({ purpose: "any" }));
  assert.deepEqual(server.asked.slice(before), ["task_1"]);
});

test("one that is refused is replaced once, for all who were refused", async () => {
  const [server, provide] = serving();
  const refused = await provide(TASK);
  const again = await Promise.all([provide({ ...TASK, refused }), provide({ ...TASK, refused })]);
  assert.deepEqual(again, ["ticket_2", "ticket_2"]);
  assert.equal(server.asked.length, 2);
});

test("a ticket opens one task: another, or a new one, needs another ticket", async () => {
  const [server, provide] = serving();
  await provide({ purpose: "new-task" });
  await provide(TASK);
  assert.equal(await provide({ purpose: { taskId: "task_2" } }), "ticket_2");
  assert.equal(await provide({ purpose: "new-task" }), "ticket_3");
  assert.deepEqual(server.asked, [undefined, "task_2", undefined]);
});

test("what a server hands out is used even if its clock seems wrong", async () => {
  const [server, provide] = serving();
  server.lifeMs = -HOUR_MS;
  assert.match(await provide(TASK), /^ticket_/);
});

test("a server that failed is asked again", async () => {
  let tries = 0;
  const provide = tickets(async () => {
    if (++tries === 1) throw new TypeError("fetch failed");
    return { ticket: "ticket_1", expiresAt: new Date(Date.now() + HOUR_MS).toISOString() };
  });
  await assert.rejects(async () => provide(TASK), /fetch failed/);
  assert.equal(await provide(TASK), "ticket_1");
});

test("each call that is made needs a ticket of its own, unless it is the same call once more", async () => {
  const [server, provide] = serving();
  assert.equal(await provide({ purpose: "new-task" }), "ticket_1");
  // The first never came on air, or was given up: its task keeps its ticket.
  assert.equal(await provide({ purpose: "new-task", idempotencyKey: "key" }), "ticket_2");
  assert.equal(await provide({ purpose: "new-task", idempotencyKey: "key" }), "ticket_2");
  assert.equal(await provide(TASK), "ticket_2");
  assert.deepEqual(server.asked, [undefined, undefined]);
});
