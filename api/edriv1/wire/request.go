package wire

import "google.golang.org/protobuf/encoding/protowire"

const (
	sendStream  protowire.Number = 1 // SendRequest
	sendEvent   protowire.Number = 2
	sendTimeout protowire.Number = 3
	sendCall    protowire.Number = 4
	sendGather  protowire.Number = 5

	outcomePosition  protowire.Number = 1 // RequestOutcome
	outcomeState     protowire.Number = 2
	outcomeResponses protowire.Number = 3
	outcomeDeadline  protowire.Number = 4
)

// SendRequest is what an edri.v1.SendRequest says.
type SendRequest struct {
	Stream  string
	Event   []byte // encoded
	Timeout int64  // nanoseconds
	Call    bool
	Gather  uint32
}

// AppendSendRequest appends an encoded SendRequest.
func AppendSendRequest(dst []byte, r *SendRequest) []byte {
	if r.Stream != "" {
		dst = protowire.AppendTag(dst, sendStream, protowire.BytesType)
		dst = protowire.AppendString(dst, r.Stream)
	}
	dst = AppendMessage(dst, sendEvent, r.Event)
	dst = appendVarint(dst, sendTimeout, uint64(r.Timeout))
	if r.Call {
		dst = appendVarint(dst, sendCall, 1)
	}
	return appendVarint(dst, sendGather, uint64(r.Gather))
}

// RequestOutcome is a decoded edri.v1.RequestOutcome. Its byte slices alias what it
// was decoded from.
type RequestOutcome struct {
	Position  uint64
	State     uint64   // as in edri.v1.RequestOutcome.State
	Responses [][]byte // encoded RecordedEvents
	Deadline  int64    // nanoseconds since 1970
}

// Decode fills o from an encoded RequestOutcome.
func (o *RequestOutcome) Decode(b []byte) error {
	*o = RequestOutcome{}
	f := Walk(b)
	for f.Next() {
		if v, ok := f.Varint(outcomePosition); ok {
			o.Position = v
		} else if v, ok := f.Varint(outcomeState); ok {
			o.State = v
		} else if m, ok := f.Bytes(outcomeResponses); ok {
			o.Responses = append(o.Responses, m)
		} else if v, ok := f.Varint(outcomeDeadline); ok {
			o.Deadline = int64(v)
		}
	}
	return f.Err()
}
