// Package jsonwrite writes the JSON of replicated state machines: every node writes the same
// bytes, whatever its version of the standard library.
package jsonwrite
