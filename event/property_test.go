package event

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"
)

func TestEventSurvivesItsBytes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := genEvent.Draw(t, "event")
		encoded := AppendEvent(nil, &e)
		decoded, err := DecodeEvent(encoded)
		if err != nil {
			t.Fatalf("DecodeEvent: %v", err)
		}
		if !reflect.DeepEqual(decoded, e) {
			t.Fatalf("decoded %#v\nwant %#v", decoded, e)
		}
		if again := AppendEvent(nil, &decoded); !bytes.Equal(again, encoded) {
			t.Fatalf("encoded again %x\nwant %x", again, encoded)
		}
	})
}

func TestValidEventIsAcceptedEncoded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := genEvent.Draw(t, "event")
		if err := e.Validate(); err != nil {
			t.Fatalf("Validate: %v", err)
		}
		h, err := CheckEncoded(AppendEvent(nil, &e), MaxDataBytes)
		if err != nil {
			t.Fatalf("CheckEncoded: %v", err)
		}
		want := e.Subject
		if want == "" {
			want = e.Source
		}
		if got := string(h.DefaultStream()); got != want {
			t.Fatalf("default stream %q, want %q", got, want)
		}
	})
}

func TestHeaderAgreesWithDecodedEvent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := genEvent.Draw(t, "event")
		h, err := ScanHeader(shuffled(AppendEvent(nil, &e), rapid.Uint64().Draw(t, "seed")))
		if err != nil {
			t.Fatalf("ScanHeader: %v", err)
		}
		text := func(name string) string {
			if v, ok := e.Extensions[name]; ok && v.Kind() == ValueString {
				return v.String()
			}
			return ""
		}
		got := []string{
			string(h.ID), string(h.Source), string(h.Type), string(h.Subject), string(h.DataContentType),
			string(h.DataSchema), string(h.Correlation), string(h.PartitionKey), string(h.Kind), string(h.Data),
		}
		want := []string{
			e.ID, e.Source, e.Type, e.Subject, e.DataContentType,
			e.DataSchema, text(AttrCorrelation), text(AttrPartitionKey), text(AttrKind), string(e.Data),
		}
		if !slices.Equal(got, want) || (h.Data == nil) != (e.Data == nil) {
			t.Fatalf("header %q, want %q", got, want)
		}
	})
}

func TestEventSurvivesJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := genEvent.Draw(t, "event")
		text := e.AppendJSON(nil)
		if !json.Valid(text) || bytes.ContainsRune(text, '\n') {
			t.Fatalf("not JSON on one line: %s", text)
		}
		decoded, err := DecodeJSON(text)
		if err != nil {
			t.Fatalf("DecodeJSON(%s): %v", text, err)
		}
		if got := decoded.AppendJSON(nil); !bytes.Equal(got, text) {
			t.Fatalf("encoded again %s\nwant %s", got, text)
		}
		if got, want := fingerprint(t, &decoded), fingerprint(t, &e); got != want {
			t.Fatalf("fingerprint %x after JSON, want %x; %s", got, want, text)
		}
	})
}

func TestRecordedEventSurvivesJSONAndMayBeImported(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := Recorded{
			Event:    genEvent.Draw(t, "event"),
			Position: Position(rapid.Uint64Min(1).Draw(t, "position")),
			Revision: Revision(rapid.Uint64Min(1).Draw(t, "revision")),
			Stream:   genText.Draw(t, "stream"),
			Stamp:    genTime.Draw(t, "stamp"),
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatalf("Marshal: %v", err)
		}
		var back Recorded
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatalf("Unmarshal(%s): %v", text, err)
		}
		if back.Position != r.Position || back.Revision != r.Revision || back.Stream != r.Stream || !back.Stamp.Equal(r.Stamp) {
			t.Fatalf("got %+v, want %+v", back, r)
		}
		imported, err := DecodeJSON(r.AppendJSON(nil))
		if err != nil {
			t.Fatalf("DecodeJSON: %v", err)
		}
		if got, want := fingerprint(t, &imported), fingerprint(t, &r.Event); got != want {
			t.Fatalf("fingerprint %x after export and import, want %x", got, want)
		}
	})
}

func TestBatchSurvivesJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		events := rapid.SliceOfN(genEvent, 0, 4).Draw(t, "events")
		text := AppendJSONBatch(nil, events)
		decoded, err := DecodeJSONBatch(text)
		if err != nil {
			t.Fatalf("DecodeJSONBatch(%s): %v", text, err)
		}
		if got := AppendJSONBatch(nil, decoded); !bytes.Equal(got, text) {
			t.Fatalf("got %s\nwant %s", got, text)
		}
	})
}

func TestFingerprintIgnoresOrderTimeTraceAndServer(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := genEvent.Draw(t, "event")
		want := fingerprint(t, &e)
		other := e
		other.Extensions = maps.Clone(e.Extensions)
		other.Time = genTime.Draw(t, "other time")
		other.extend(AttrTraceParent, String(genText.Draw(t, "traceparent")))
		other.extend(AttrTraceState, String(genText.Draw(t, "tracestate")))
		for _, name := range []string{AttrStream, AttrPosition, AttrRevision, AttrStamp} {
			other.extend(name, String("x"))
		}
		h, err := ScanHeader(shuffled(AppendEvent(nil, &other), rapid.Uint64().Draw(t, "seed")))
		if err != nil {
			t.Fatalf("ScanHeader: %v", err)
		}
		if got := h.Fingerprint(); got != want {
			t.Fatalf("fingerprint %x, want %x", got, want)
		}
	})
}

func TestFingerprintTellsContentsApart(t *testing.T) {
	t.Parallel()
	base := Event{
		ID: "1", Source: "s", Type: "t", Subject: "u", DataContentType: "text/plain", DataSchema: "a:b",
		Data: []byte("data"), Extensions: map[string]Value{"x": String("y")},
	}
	changes := map[string]func(*Event){
		"type":            func(e *Event) { e.Type = "t2" },
		"subject":         func(e *Event) { e.Subject = "" },
		"datacontenttype": func(e *Event) { e.DataContentType = "text/html" },
		"dataschema":      func(e *Event) { e.DataSchema = "a:c" },
		"data":            func(e *Event) { e.Data = []byte("date") },
		"space in text":   func(e *Event) { e.Data = []byte("da ta") },
		"no data":         func(e *Event) { e.Data = nil },
		"empty data":      func(e *Event) { e.Data = []byte{} },
		"extension":       func(e *Event) { e.Extensions = map[string]Value{"x": String("z")} },
		"extension name":  func(e *Event) { e.Extensions = map[string]Value{"y": String("y")} },
		"more extensions": func(e *Event) { e.Extensions = map[string]Value{"x": String("y"), "z": String("")} },
		"source":          func(e *Event) { e.Source = "s2" },
		"id":              func(e *Event) { e.ID = "2" },
		"shifted":         func(e *Event) { e.Source, e.ID = "s1", "" },
	}
	seen := map[Fingerprint]string{fingerprint(t, &base): "nothing"}
	for name, change := range changes {
		e := base
		change(&e)
		if name == "shifted" {
			e.ID = "1"
		}
		f := fingerprint(t, &e)
		if other, ok := seen[f]; ok {
			t.Errorf("changing %s and %s gives one fingerprint", name, other)
		}
		seen[f] = name
	}
}

// The layout is part of what nodes replicate: these bytes must never change.
func TestFingerprintIsFrozen(t *testing.T) {
	t.Parallel()
	e := Event{
		ID: "4711", Source: "/tills/7", Type: "order.placed", Subject: "orders/4711",
		Time: time.Unix(1, 0), DataContentType: "application/json", Data: []byte(`{"a": [1, "x y"]}`),
		Extensions: map[string]Value{
			"flag": Bool(true), "n": Integer(-5), "bin": Binary([]byte{1, 2}), "at": Timestamp(time.Unix(5, 6)),
			"ref": URIRef("a/b"), AttrKind: String(KindRequest), AttrTraceParent: String("00-1"),
		},
	}
	const want = "1958b4acff900dedd4081e2854254f1a917789004acb2255"
	f := fingerprint(t, &e)
	if got := hexOf(f.AppendTo(nil)); got != want {
		t.Errorf("fingerprint %s, want %s", got, want)
	}
	if got := ParseFingerprint(f.AppendTo([]byte{})); got != f {
		t.Errorf("ParseFingerprint gives %x, want %x", got, f)
	}
}

// fingerprint is the fingerprint of the event as AppendEvent writes it.
func fingerprint(t interface{ Fatalf(string, ...any) }, e *Event) Fingerprint {
	h, err := ScanHeader(AppendEvent(nil, e))
	if err != nil {
		t.Fatalf("ScanHeader: %v", err)
	}
	return h.Fingerprint()
}

// shuffled is the encoded event with its fields in another order and its data, if it
// came as text, as binary.
func shuffled(encoded []byte, seed uint64) []byte {
	var fields [][]byte
	for len(encoded) > 0 {
		num, body, n := consumeBytesField(encoded)
		field := encoded[:n:n]
		if num == fieldTextData {
			field = protowire.AppendTag(nil, fieldBinaryData, protowire.BytesType)
			field = protowire.AppendBytes(field, body)
		}
		fields = append(fields, field)
		encoded = encoded[n:]
	}
	rand.New(rand.NewPCG(seed, 0)).Shuffle(len(fields), func(i, j int) {
		fields[i], fields[j] = fields[j], fields[i]
	})
	return slices.Concat(fields...)
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }
