// Package wire is the schema's hot messages by hand: what the node and the
// client do with them a hundred thousand times a second, without reflection and
// without building a Go value for what is only carried.
//
//   - [Frame] is a message as its bytes. Its codecs ([Binary], [JSON]) take the
//     place of connect's own: the binary one passes the bytes through, the JSON
//     one converts by way of the generated types, so that curl sees plain JSON
//     and the handler never learns which it was.
//   - [Fields] walks a message's fields; [CommitResult] and [Recorded] are what
//     the client reads out of them; the Append functions write.
//
// The bytes are those of the generated types of package edriv1; a test holds
// each function to that. Decoders take what is unknown to them as protobuf says
// (skip it) and never panic; what they return aliases their argument.
package wire
