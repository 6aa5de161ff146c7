package wire

import "google.golang.org/protobuf/encoding/protowire"

const (
	responseEvents protowire.Number = 1
	responseCursor protowire.Number = 2
	responseEnd    protowire.Number = 3

	recordedPosition protowire.Number = 1
	recordedRevision protowire.Number = 2
	recordedStream   protowire.Number = 3
	recordedStamp    protowire.Number = 4
	recordedEvent    protowire.Number = 5
)

// Recorded is a decoded edri.v1.RecordedEvent with its event as encoded bytes.
type Recorded struct {
	Position, Revision uint64
	Stream             []byte
	Stamp              int64 // nanoseconds since 1970
	Event              []byte
}

// AppendRecorded appends a RecordedEvent.
func AppendRecorded[S ~string | ~[]byte](dst []byte, position, revision uint64, stream S, stamp int64, event []byte) []byte {
	dst = appendVarint(dst, recordedPosition, position)
	dst = appendVarint(dst, recordedRevision, revision)
	if len(stream) > 0 {
		dst = protowire.AppendTag(dst, recordedStream, protowire.BytesType)
		dst = protowire.AppendVarint(dst, uint64(len(stream)))
		dst = append(dst, stream...)
	}
	dst = appendVarint(dst, recordedStamp, uint64(stamp))
	return AppendMessage(dst, recordedEvent, event)
}

// AppendResponseEvent appends a RecordedEvent to the ReadResponse in dst.
func AppendResponseEvent[S ~string | ~[]byte](dst []byte, position, revision uint64, stream S, stamp int64, event []byte) []byte {
	size := sizeVarint(recordedPosition, position) + sizeVarint(recordedRevision, revision) +
		sizeVarint(recordedStamp, uint64(stamp)) + sizeBytes(recordedEvent, len(event))
	if len(stream) > 0 {
		size += sizeBytes(recordedStream, len(stream))
	}
	dst = protowire.AppendTag(dst, responseEvents, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(size))
	return AppendRecorded(dst, position, revision, stream, stamp, event)
}

// AppendResponseCursor appends the cursor to the ReadResponse in dst.
func AppendResponseCursor(dst []byte, cursor string) []byte {
	dst = protowire.AppendTag(dst, responseCursor, protowire.BytesType)
	return protowire.AppendString(dst, cursor)
}

// AppendResponseEnd appends the end of the read to the ReadResponse in dst.
func AppendResponseEnd(dst []byte, end uint64) []byte {
	return appendVarint(dst, responseEnd, end)
}

// Decode fills r from an encoded RecordedEvent; Stream and Event alias b.
func (r *Recorded) Decode(b []byte) error {
	*r = Recorded{}
	f := Walk(b)
	for f.Next() {
		if v, ok := f.Varint(recordedPosition); ok {
			r.Position = v
		} else if v, ok := f.Varint(recordedRevision); ok {
			r.Revision = v
		} else if m, ok := f.Bytes(recordedStream); ok {
			r.Stream = m
		} else if v, ok := f.Varint(recordedStamp); ok {
			r.Stamp = int64(v)
		} else if m, ok := f.Bytes(recordedEvent); ok {
			r.Event = m
		}
	}
	return f.Err()
}

// SplitResponse returns the encoded RecordedEvents of an encoded ReadResponse,
// appended to dst, its cursor and the end of the read.
func SplitResponse(dst [][]byte, b []byte) (events [][]byte, cursor string, end uint64, err error) {
	f := Walk(b)
	for f.Next() {
		if m, ok := f.Bytes(responseEvents); ok {
			dst = append(dst, m)
		} else if m, ok := f.Bytes(responseCursor); ok {
			cursor = string(m)
		} else if v, ok := f.Varint(responseEnd); ok {
			end = v
		}
	}
	return dst, cursor, end, f.Err()
}
