// Package event is edri's dictionary: events and their attributes, positions and
// revisions, names, filters, limits, and the one list of error codes. Every other
// package speaks in these words; this one imports nothing of edri.
//
// # Events
//
// An [Event] is a CloudEvent 1.0. Its bytes, on the wire and in the journal, are
// the CloudEvents protobuf format. They are written once, where the event enters
// (AppendEvent), checked there (CheckEncoded), and from then on carried unchanged:
// whoever needs a look inside reads a [Header], whose fields alias the bytes.
//
//	CloudEvent
//	1 id            string     1..255 bytes, a name
//	2 source        string     1..255 bytes, a name and a URI reference
//	3 spec_version  string     "1.0"
//	4 type          string     1..255 bytes, a name
//	5 attributes    map        name -> typed value, at most 64, 64 KiB together:
//	                           subject, time, datacontenttype, dataschema, extensions
//	6 binary_data   bytes  \   at most one of the two;
//	7 text_data     string /   8 proto_data is refused
//
// AppendEvent writes the fields in the order of their numbers and the attributes in
// the order of their names. Readers take any order, but each field, each attribute
// and each value once: bytes that two decoders could understand differently are
// refused. Data is written as text_data where the content type says text (see
// isTextType) and the bytes are UTF-8, else as binary_data; both mean the same.
//
// # What is stricter than CloudEvents
//
// Times are kept in UTC with nanoseconds, in the years 1 to 9999, and the very first
// instant of year 1 (Go's zero time) is refused. A source is refused if it holds a
// character that RFC 3986 never allows, such as a space; letters beyond ASCII are
// accepted, as in RFC 3987. Attribute names may have up to 255 characters. correlationid,
// causationid and partitionkey are names, and edrikind is one of the four kinds.
// edristream, edriposition, edrirevision and edristamp are set by the server: refused
// from clients on the wire, dropped when an exported event is read from JSON.
//
// # JSON
//
// Data of a JSON content type, or of none, stands in the member data as JSON and is
// held in Event.Data as compact JSON text; nothing else about the text changes, so
// numbers keep all their digits. Other text stands there as a string, everything else
// in data_base64. Extension values that JSON has no type for (binary, URI, timestamp)
// become strings.
//
// # Fingerprints
//
// A [Fingerprint] tells whether two events with one (source, id) are the same event.
// It does not depend on the format that the event came in; see Header.Fingerprint for
// what it covers. Its layout is part of the replicated state: it must never change.
//
// # Errors
//
// Everything that can be wrong with a request is an [*Error] with one of the codes
// listed in this package. Messages name what is wrong and quote the offending value,
// cut to a readable length.
package event
