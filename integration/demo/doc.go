// Command demo shows what edri promises, with real processes: it starts three
// nodes on the loopback interface in a temporary folder, imports the sample
// events through the command line, kills the leader half way, goes on, restarts
// it, kills all three nodes, restarts them, and then reads the whole history back
// from each. Then it has examples/orders fulfil orders of several kinds, kills the
// leader between two steps, and a worker, and checks what became of each order.
// It is what make demo runs.
//
//	demo -bin ./bin -events examples/events.ndjson [-keep]
//
// Its exit status is 0 only if nothing acknowledged is lost, nothing is there
// twice, and all three histories are equal; and each order ended as it had to, with
// each of its effects once.
package main
