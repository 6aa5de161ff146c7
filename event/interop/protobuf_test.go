package interop

import (
	"encoding/json"
	"testing"

	format "github.com/cloudevents/sdk-go/binding/format/protobuf/v2"
	"github.com/cloudevents/sdk-go/binding/format/protobuf/v2/pb"
	sdk "github.com/cloudevents/sdk-go/v2/event"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/edri-io/edri/event"
)

func TestSDKReadsOurProtobuf(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := genEvent.Draw(t, "event")
		message := decode(t, event.AppendEvent(nil, &e.Event))
		if e.DataContentType != "text/plain" {
			asBinary(message)
		}
		got, err := format.FromProto(message)
		if err != nil {
			t.Fatalf("FromProto(%v): %v", message, err)
		}
		if err := got.Validate(); err != nil {
			t.Fatalf("Validate(%v): %v", message, err)
		}
		if g, w := viewSDK(t, *got, true), viewEdri(e.Event, true); !g.equal(w) {
			t.Fatalf("got  %v\nwant %v", g, w)
		}
	})
}

func TestWeReadTheSDKsProtobuf(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := genEvent.Draw(t, "event")
		s := toSDK(t, e.Event, e.base64)
		encoded, err := format.Protobuf.Marshal(&s)
		if err != nil {
			t.Fatalf("Marshal: %v", err)
		}
		h, err := event.CheckEncoded(encoded, event.MaxDataBytes)
		if err != nil {
			t.Fatalf("CheckEncoded: %v", err)
		}
		got, err := event.DecodeEvent(encoded)
		if err != nil {
			t.Fatalf("DecodeEvent: %v", err)
		}
		if g, w := viewEdri(got, true), viewEdri(e.Event, true); !g.equal(w) {
			t.Fatalf("got  %v\nwant %v", g, w)
		}
		if e.Data == nil {
			if got.Data == nil {
				t.Fatalf("the SDK learned to leave data out: update the package comment")
			}
			return
		}
		ours, err := event.ScanHeader(event.AppendEvent(nil, &e.Event))
		if err != nil {
			t.Fatalf("ScanHeader: %v", err)
		}
		if g, w := h.Fingerprint(), ours.Fingerprint(); g != w {
			t.Fatalf("fingerprint of the SDK's bytes %x, of ours %x", g, w)
		}
	})
}

// The canonical bytes are those of a protobuf library, field by field.
func TestProtobufLibraryReadsOurBytes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := genEvent.Draw(t, "event")
		encoded := event.AppendEvent(nil, &e.Event)
		again, err := proto.MarshalOptions{Deterministic: true}.Marshal(decode(t, encoded))
		if err != nil {
			t.Fatalf("Marshal: %v", err)
		}
		if string(again) != string(encoded) {
			t.Fatalf("the library writes %x, we %x", again, encoded)
		}
	})
}

// The exceptions of the package comment: when one of these fails, the SDK has changed.
func TestKnownDifferences(t *testing.T) {
	t.Parallel()
	e := event.Event{ID: "1", Source: "/s", Type: "t", DataContentType: "application/json", Data: []byte(`{"a":1}`)}
	got, err := format.FromProto(decode(t, event.AppendEvent(nil, &e)))
	if err != nil {
		t.Fatal(err)
	}
	if want := `"{\"a\":1}"`; string(got.Data()) != want {
		t.Errorf("text_data of JSON: the SDK has %s, used to have %s", got.Data(), want)
	}

	e = event.Event{ID: "1", Source: "/s", Type: "t", DataContentType: "application/x+json", Data: []byte(`5`)}
	if err := json.Unmarshal(e.AppendJSON(nil), &sdk.Event{}); err == nil {
		t.Errorf("data of a +json type: the SDK reads it now")
	}

	s := toSDK(t, event.Event{ID: " 1 ", Source: "/größe", Type: "t"}, false)
	if s.ID() != "1" {
		t.Errorf("spaces around an id: the SDK keeps them now")
	}
	if want := "/gr%C3%B6%C3%9Fe"; s.Source() != want {
		t.Errorf("source beyond ASCII: the SDK has %s, used to have %s", s.Source(), want)
	}

	s = sdk.New()
	s.SetID("1")
	s.SetSource("/s")
	s.SetType("t")
	s.SetDataContentType(format.ContentTypeProtobuf)
	encoded, err := format.Protobuf.Marshal(&s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := event.CheckEncoded(encoded, event.MaxDataBytes); event.CodeOf(err) != event.CodeInvalid {
		t.Errorf("proto_data: got %v", err)
	}
}

func decode(t fataler, encoded []byte) *pb.CloudEvent {
	message := &pb.CloudEvent{}
	if err := proto.Unmarshal(encoded, message); err != nil {
		t.Fatalf("Unmarshal(%x): %v", encoded, err)
	}
	return message
}

// asBinary moves text_data, which the SDK misreads, to binary_data.
func asBinary(message *pb.CloudEvent) {
	if text, ok := message.Data.(*pb.CloudEvent_TextData); ok {
		message.Data = &pb.CloudEvent_BinaryData{BinaryData: []byte(text.TextData)}
	}
}
