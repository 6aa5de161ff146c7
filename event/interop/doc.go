// Package interop holds edri's codecs to those of the CloudEvents Go SDK: what one
// writes the other must read as the same event, in JSON, in JSON batches and in
// protobuf. It has nothing but tests, and is a module of its own, so that the SDK and
// what it drags in stay out of edri's.
//
// Where the two differ, the tests say so and pin it:
//
//   - The SDK reads text_data as something yet to be encoded: JSON becomes a JSON string,
//     XML an element <string>. Every other content type than text/plain therefore does not
//     survive it. edri writes text_data for text, as the format asks and as the Java SDK
//     does.
//   - The SDK cannot say in protobuf that an event has no data: it writes empty data.
//   - The SDK writes data of type application/protobuf as google.protobuf.Any, which edri
//     refuses.
//   - The SDK takes only application/json, text/json and its own types for JSON, not every
//     type that ends in +json: their data in JSON it reads and writes as strings.
//   - The SDK's setters cut spaces around an attribute, and rewrite URIs: letters beyond
//     ASCII become escapes.
//   - edri refuses more; see TestRefusals.
package interop
