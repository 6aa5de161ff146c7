// Orders fulfils orders by a workflow that outlives every crash.
//
//	orders -payments 127.0.0.1:7430              # the payment service of this example
//	orders -server http://127.0.0.1:7420         # a worker; start as many as you like
//
// An order is a run of the workflow "fulfil" (fulfil.go):
//
//	charge ─▶ reserve item ─┬─▶ wait for "shipped" ─▶ complete ─▶ order.completed
//	          reserve item ─┘          │
//	   │            │                  │ the deadline passes, or the run is canceled
//	   ▼ declined   ▼ sold out         ▼
//	  cancel  ◀── refund ◀── release each item: order.cancelled
//
// What a step does outside, as a charge, may happen again after a crash: the payment
// service tells the repeat by the step's effect id, and charges once. What a step changes
// in the cluster, its effects, is committed together with its result: the event
// order.completed and the key orders/ID are there once, and never one without the other.
//
//	edri workflow start fulfil --id o-1 --input \
//	  '{"customer":"c-17","card":"4242","address":"dock 1","items":["lamp"],"total":1999,"ship_within":"48h"}'
//	edri workflow query o-1 state
//	edri workflow update o-1 change-address --input '"dock 2"'
//	edri workflow signal o-1 shipped --input '{"carrier":"post","parcel":"X1"}'
//	edri events query --correlation o-1
//	edri workflow start report --wait
//
// The workflow "report" (report.go) counts the orders of a time. A schedule starts it
// each day.
package main
