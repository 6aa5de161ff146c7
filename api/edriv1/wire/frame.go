package wire

import (
	"errors"
	"fmt"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Frame is a message of the generated type M as its protobuf bytes.
type Frame[M any] struct {
	// Bytes is the encoded message. The one that a codec sets is its own copy.
	Bytes []byte
	// Err says why a received JSON message could not be converted; Bytes is then
	// nil. It is kept here, not returned by the codec, so that the handler can
	// answer with a typed error.
	Err error
}

// Message decodes the frame into the generated type. Fields that the schema
// does not have are refused: a request that is understood only in part would
// select, or change, something else than its sender meant.
func (f *Frame[M]) Message() (*M, error) {
	if f.Err != nil {
		return nil, f.Err
	}
	message := new(M)
	m, ok := any(message).(proto.Message)
	if !ok {
		return nil, fmt.Errorf("decode %T: not a protobuf message", message)
	}
	if err := proto.Unmarshal(f.Bytes, m); err != nil {
		return nil, fmt.Errorf("decode %s: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	if n := len(m.ProtoReflect().GetUnknown()); n > 0 {
		return nil, fmt.Errorf("decode %s: %d bytes of unknown fields", m.ProtoReflect().Descriptor().Name(), n)
	}
	return message, nil
}

// carrier is what the codecs see of a Frame.
type carrier interface {
	load() []byte
	store(b []byte, err error)
	generated() (proto.Message, error)
}

func (f *Frame[M]) load() []byte              { return f.Bytes }
func (f *Frame[M]) store(b []byte, err error) { f.Bytes, f.Err = b, err }

func (f *Frame[M]) generated() (proto.Message, error) {
	if m, ok := any(new(M)).(proto.Message); ok {
		return m, nil
	}
	return nil, fmt.Errorf("%T is not a protobuf message", new(M))
}

// Binary is connect's codec "proto" for frames and for generated messages.
type Binary struct{}

var _ connect.Codec = Binary{}

// Name is the codec's name in content types.
func (Binary) Name() string { return "proto" }

// Marshal returns the message's bytes; a frame's are its own, not copied.
func (Binary) Marshal(message any) ([]byte, error) {
	switch m := message.(type) {
	case carrier:
		return m.load(), nil
	case proto.Message:
		return deterministic.Marshal(m)
	}
	return nil, notAMessage(message)
}

// deterministic encodes the same message to the same bytes: nodes keep and compare those
// that clients send, and maps would stand in another order each time.
var deterministic = proto.MarshalOptions{Deterministic: true}

// MarshalAppend appends the message's bytes to dst. connect prefers it, and
// then keeps the buffer, not the message's bytes, in its pool.
func (Binary) MarshalAppend(dst []byte, message any) ([]byte, error) {
	switch m := message.(type) {
	case carrier:
		return append(dst, m.load()...), nil
	case proto.Message:
		return deterministic.MarshalAppend(dst, m)
	}
	return nil, notAMessage(message)
}

// Unmarshal fills the message; a frame gets a copy, since connect reuses b.
func (Binary) Unmarshal(b []byte, message any) error {
	switch m := message.(type) {
	case carrier:
		m.store(append([]byte(nil), b...), nil)
		return nil
	case proto.Message:
		return proto.Unmarshal(b, m)
	}
	return notAMessage(message)
}

// JSON is connect's codec "json": the protobuf JSON mapping. Unlike connect's
// own it refuses members that the schema does not have: a misspelt "revision"
// must not become an append without a check.
type JSON struct {
	// Charset registers the codec for content types that say charset=utf-8.
	Charset bool
}

var _ connect.Codec = JSON{}

// Name is the codec's name in content types.
func (c JSON) Name() string {
	if c.Charset {
		return "json; charset=utf-8"
	}
	return "json"
}

// Marshal converts the message to JSON.
func (JSON) Marshal(message any) ([]byte, error) {
	switch m := message.(type) {
	case carrier:
		generated, err := m.generated()
		if err != nil {
			return nil, err
		}
		if err := proto.Unmarshal(m.load(), generated); err != nil {
			return nil, fmt.Errorf("convert to json: %w", err)
		}
		return protojson.Marshal(generated)
	case proto.Message:
		return protojson.Marshal(m)
	}
	return nil, notAMessage(message)
}

// Unmarshal converts JSON to the message. Of a frame it fails in the frame's Err.
func (JSON) Unmarshal(b []byte, message any) error {
	switch m := message.(type) {
	case carrier:
		m.store(fromJSON(b, m))
		return nil
	case proto.Message:
		return protojson.Unmarshal(b, m)
	}
	return notAMessage(message)
}

func fromJSON(b []byte, c carrier) ([]byte, error) {
	if len(b) == 0 {
		return nil, errors.New("empty body is not a JSON object")
	}
	generated, err := c.generated()
	if err != nil {
		return nil, err
	}
	if err := protojson.Unmarshal(b, generated); err != nil {
		return nil, fmt.Errorf("convert from json: %w", err)
	}
	return deterministic.Marshal(generated)
}

func notAMessage(message any) error {
	return fmt.Errorf("%T is neither a frame nor a protobuf message", message)
}
