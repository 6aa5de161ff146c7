// A worker in Node: makes a bill for each order, and answers who asks for a price.
//
//     edri worker run --subscription billing -- node worker.mjs
//
// Standard output is for the protocol (docs/worker-protocol.md), so people are
// written to on standard error: console.error, not console.log. Handlers may wait for
// others, so it takes several events at a time.
import { createInterface } from "node:readline";

class Reject extends Error {} // trying again is of no use

// handle returns the effects of an event, or throws.
async function handle(event, delivery) {
  const total = event.data?.total;
  if (!Number.isInteger(total) || total < 0) throw new Reject(`total ${total} is no amount`);
  console.error(`attempt ${delivery.attempt} of ${delivery.effectId}`);
  const bill = { order: event.id, total, tax: Math.floor(total / 5) };
  if (event.edrikind === "request") return { respond: { data: bill } };
  return { append: [{ stream: "bill/" + event.id, event: { type: "bill.made", data: bill } }] };
}

function say(message) {
  process.stdout.write(JSON.stringify(message) + "\n");
}

async function deliver(delivery) {
  const { id, event } = delivery;
  try {
    say({ ack: { id, ...(await handle(event, delivery)) } });
  } catch (e) {
    say({ [e instanceof Reject ? "park" : "nak"]: { id, reason: String(e.message) } });
  }
}

say({ hello: { protocol: 1, name: "node-billing", concurrency: 8, heartbeatMs: 10000 } });
for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line);
  if (message.stop) break;
  if (message.ping) say({ heartbeat: {} });
  if (message.deliver) deliver(message.deliver);
}
