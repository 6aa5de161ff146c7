// Package edriv1 is the schema of an edri node's public interface, generated from
// the .proto files beside it. edri.v1.Commit is at the same time the format of a
// commit in the replicated log, and events are CloudEvents' own protobuf format:
// a field that was ever released keeps its number and its meaning.
//
// The node and the Go client read and write the hot messages by hand, see package
// wire; what is here is what all others use, and what package wire is held to.
package edriv1
