// Package api serves a node's interfaces over HTTP, on one port: the services
// Events and Cluster of package edriv1 (connect: gRPC, gRPC-Web and plain JSON),
// the CloudEvents HTTP binding, and what an operator's tools ask.
//
//	POST /edri.v1.Events/Commit …          the schema's procedures
//	POST /edri.v1.Cluster/Status
//	POST /v1/events                        CloudEvents: structured, batch or binary
//	GET  /v1/events, /v1/events/POSITION   CloudEvents, as newline-delimited JSON
//	GET  /livez, /readyz, /metrics
//
// It decodes, calls the [Node] and encodes; it decides nothing.
//
// # Bytes are carried
//
// Commits, results and recorded events pass through as the bytes they are
// (package wire); only a JSON caller's are converted. A read's answer is put
// together from the journal's own bytes, a batch at a time, with one view of the
// journal for each batch and none while the network is waited for.
//
// # Errors
//
// Handlers return *event.Error, and one table (errors.go) says what status that
// is. An edri.v1.Error goes with it as a detail, in the CloudEvents binding the
// members of an RFC 9457 problem. An error that is not one of edri's own is
// internal: the caller gets a reference, the operator's log the rest.
//
// # Bounds
//
// A message has at most twice the largest commit's size (JSON is longer than
// what it stands for), headers 64 KiB. A CommitStream has at most 1,024 commits
// or 16 MiB without a result that was sent; until then no more is read from it.
// A read's batch has 1,000 events or 256 KiB.
package api
