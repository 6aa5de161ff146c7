// Command generate writes the sample events of examples/events.ndjson: orders
// of a shop, readings of sensors and builds of a few projects, interleaved as
// they would happen over one morning, one CloudEvent a line.
//
// It draws from a fixed seed and a made-up clock, so that it writes the same
// bytes whenever and wherever it runs; its test holds the committed file to that.
//
//	go run ./examples/generate > examples/events.ndjson
package main
