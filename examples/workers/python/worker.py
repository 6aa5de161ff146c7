#!/usr/bin/env python3
"""A worker in Python: makes a bill for each order, and answers who asks for a price.

    edri worker run --subscription billing -- python3 worker.py

Standard output is for the protocol (docs/worker-protocol.md), so people are
written to on standard error.
"""
import json
import sys


class Reject(Exception):
    """Trying again is of no use."""


def handle(event, delivery):
    """Returns the effects of an event, or raises."""
    total = event.get("data", {}).get("total")
    if not isinstance(total, int) or total < 0:
        raise Reject(f"total {total!r} is no amount")
    print(f"attempt {delivery['attempt']} of {delivery['effectId']}", file=sys.stderr)
    bill = {"order": event["id"], "total": total, "tax": total // 5}
    if event.get("edrikind") == "request":
        return {"respond": {"data": bill}}
    return {"append": [{"stream": "bill/" + event["id"], "event": {"type": "bill.made", "data": bill}}]}


def say(message):
    print(json.dumps(message), flush=True)


def main():
    say({"hello": {"protocol": 1, "name": "python-billing"}})
    for line in sys.stdin:
        message = json.loads(line)
        if "stop" in message:
            break
        if "deliver" not in message:
            continue
        delivery = message["deliver"]
        answer = {"id": delivery["id"]}
        try:
            say({"ack": answer | handle(delivery["event"], delivery)})
        except Reject as e:
            say({"park": answer | {"reason": str(e)}})
        except Exception as e:
            say({"nak": answer | {"reason": f"{type(e).__name__}: {e}"}})


main()
