import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { type CredentialProvider, type CredentialRequest, Line, Problem } from "@parley/client";
import { Heard } from "./support/heard.js";
import { ServedGateway } from "./support/served_gateway.js";

let gateway: ServedGateway;
let heard: Heard;
let line: Line;

beforeEach(async () => {
  gateway = await ServedGateway.start();
  heard = new Heard();
});

afterEach(async () => {
  line.close();
  await gateway.stop();
});

function open(credential: CredentialProvider): void {
  line = new Line(gateway.client({ credential }), "task_1", { listener: heard });
}

for (const credential of ["parley_ticket_1", "parley_key_1", "eyJh.eyJz-_.c2ln"]) {
  test(`${credential} is a subprotocol, and in no address`, async () => {
    open(() => credential);
    const { query, protocols } = await gateway.lines.next();
    assert.equal(query.get("apiKey"), null);
    assert.deepEqual(protocols, ["parley.v1", `parley.ticket.${credential}`]);
  });
}

test("a key that cannot be a subprotocol stands in the query", async () => {
  open(() => "a key = the settings'");
  const { query, protocols } = await gateway.lines.next();
  assert.equal(query.get("apiKey"), "a key = the settings'");
  assert.deepEqual(protocols, []);
});

test("a ticket that has expired is replaced once", async () => {
  const asked: CredentialRequest[] = [];
  open((request) => {
    asked.push(request);
    return `parley_ticket_${asked.length}`;
  });
  (await gateway.lines.next()).refuse(401, "UNAUTHENTICATED");
  const second = await gateway.lines.next();
  assert.equal(second.protocols[1], "parley.ticket.parley_ticket_2");
  const purpose = { taskId: "task_1" };
  assert.deepEqual(asked, [{ purpose }, { purpose, refused: "parley_ticket_1" }]);
  second.refuse(401, "UNAUTHENTICATED");
  assert.equal((await heard.refusals.next()).reason, "UNAUTHENTICATED");
});

test("a line that was let in may have its ticket replaced again", async () => {
  let count = 0;
  open(() => `parley_ticket_${++count}`);
  for (let round = 0; round < 2; round++) {
    (await gateway.lines.next()).refuse(401, "UNAUTHENTICATED");
    const served = await gateway.lines.next();
    served.ready();
    assert.equal(await heard.links.next(), "connected");
    served.cut();
    assert.equal(await heard.links.next(), "broken");
  }
  assert.deepEqual(heard.refusals.left, []);
});

test("a provider that cannot be reached is asked again", async () => {
  let tries = 0;
  open(() => {
    if (++tries === 1) throw new TypeError("fetch failed");
    return "parley_ticket_1";
  });
  assert.equal(await heard.links.next(), "broken");
  (await gateway.lines.next()).ready();
  assert.equal(await heard.links.next(), "connected");
});

test("a provider's problem is a refusal", async () => {
  open(() => {
    throw new Problem({ status: 403, reason: "PERMISSION_DENIED", detail: "No calls today." });
  });
  assert.equal((await heard.refusals.next()).message, "No calls today.");
});
