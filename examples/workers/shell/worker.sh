#!/bin/sh
# A worker in shell: makes a bill for each order, and answers who asks for a price. It
# needs jq, which knows JSON.
#
#     edri worker run --subscription billing -- sh worker.sh
#
# Standard output is for the protocol (docs/worker-protocol.md), so people are written
# to on standard error.
set -eu

# handle reads a delivery and writes its answer.
handle='
  .deliver as $d | $d.event as $e | ($e.data | objects | .total) as $total |
  if ($total | type) != "number" or $total < 0 then
    {park: {id: $d.id, reason: "total \($total) is no amount"}}
  else
    {order: $e.id, $total, tax: ($total / 5 | floor)} as $bill |
    if $e.edrikind == "request" then
      {ack: {id: $d.id, respond: {data: $bill}}}
    else
      {ack: {id: $d.id, append: [{stream: "bill/\($e.id)", event: {type: "bill.made", data: $bill}}]}}
    end
  end'

echo '{"hello":{"protocol":1,"name":"shell-billing"}}'
while IFS= read -r line; do
  case $line in
    '{"deliver":'*)
      printf '%s\n' "$line" | jq -r '"attempt \(.deliver.attempt) of \(.deliver.effectId)"' >&2
      printf '%s\n' "$line" | jq -c "$handle"
      ;;
    '{"stop":'*) exit 0 ;;
  esac
done
