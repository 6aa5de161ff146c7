package event

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// seedEvents are one event of every shape.
func seedEvents() []Event {
	whole := *benchEvent()
	whole.DataSchema = "https://example.org/schema"
	whole.Extensions = map[string]Value{
		"a": Bool(true), "b": Integer(-7), "c": String("x"), "d": Binary([]byte{0, 1}), "e": URI("a:b"),
		"f": URIRef("a/b"), "g": Timestamp(time.Unix(1, 2)), AttrCorrelation: String("c"),
		AttrKind: String(KindRequest), AttrPartitionKey: String("p"),
	}
	text := validEvent()
	text.DataContentType, text.Data = "text/plain", []byte("größe")
	bytes := validEvent()
	bytes.DataContentType, bytes.Data = "image/png", []byte{0, 255}
	return []Event{validEvent(), whole, text, bytes}
}

// FuzzDecodeEvent holds what all readers of an encoded event promise each other.
func FuzzDecodeEvent(f *testing.F) {
	for _, e := range seedEvents() {
		encoded := AppendEvent(nil, &e)
		f.Add(encoded)
		f.Add(shuffled(encoded, 1))
	}
	f.Add([]byte(required + attr("a", "1") + attr("a", "2")))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, scanErr := ScanHeader(b)
		e, decodeErr := DecodeEvent(b)
		checked, checkErr := CheckEncoded(b, MaxDataBytes)
		if (scanErr == nil) != (decodeErr == nil) {
			t.Fatalf("ScanHeader: %v, DecodeEvent: %v", scanErr, decodeErr)
		}
		if scanErr != nil {
			if checkErr == nil {
				t.Fatalf("CheckEncoded accepts what ScanHeader refuses: %v", scanErr)
			}
			return
		}
		names, of := ScanNames(b), Names{Source: h.Source, Type: h.Type, Subject: h.Subject, Correlation: h.Correlation}
		if !reflect.DeepEqual(names, of) {
			t.Fatalf("ScanNames: %q, want %q", names, of)
		}
		want := h.Fingerprint()
		canonical := AppendEvent(nil, &e)
		invalid := e.Validate()
		if checkErr != nil && strings.Contains(checkErr.Error(), "text_data: is not UTF-8") {
			// An Event does not say whether its data came as text.
			if utf8.Valid(h.Data) {
				t.Fatalf("%v: %q", checkErr, h.Data)
			}
		} else if (invalid == nil) != (checkErr == nil) && !hasCoreName(&e) {
			t.Fatalf("Validate: %v, CheckEncoded: %v", invalid, checkErr)
		}
		if valid, err := AppendValid([]byte("prefix"), &e); CodeOf(err) != CodeOf(invalid) {
			t.Fatalf("AppendValid: %v, Validate: %v", err, invalid)
		} else if err == nil && string(valid) != "prefix"+string(canonical) || err != nil && string(valid) != "prefix" {
			t.Fatalf("AppendValid %x (%v), AppendEvent %x", valid, err, canonical)
		}
		if checkErr != nil {
			return
		}
		if got := checked.Fingerprint(); got != want {
			t.Fatalf("fingerprint %x as checked, %x as scanned", got, want)
		}
		if got := fingerprint(t, &e); got != want {
			t.Fatalf("fingerprint %x as encoded again, want %x", got, want)
		}
		again, err := DecodeEvent(canonical)
		if err != nil || !reflect.DeepEqual(again, e) {
			t.Fatalf("got %#v, %v\nwant %#v", again, err, e)
		}
		imported, err := DecodeJSON(e.AppendJSON(nil))
		if err != nil {
			if CodeOf(err) == CodeTooLarge {
				return
			}
			t.Fatalf("DecodeJSON(%s): %v", e.AppendJSON(nil), err)
		}
		if got := fingerprint(t, &imported); got != want {
			t.Fatalf("fingerprint %x by way of JSON, want %x", got, want)
		}
	})
}

// hasCoreName says that Validate refuses an extension which AppendEvent leaves out.
func hasCoreName(e *Event) bool {
	for name := range e.Extensions {
		if isCoreName(name) {
			return true
		}
	}
	return false
}

func FuzzDecodeJSON(f *testing.F) {
	for _, e := range seedEvents() {
		f.Add(e.AppendJSON(nil))
	}
	f.Add([]byte(`{"specversion":"1.0","id":"\u00e9\ud83d\ude00","source":"/s","type":"t","data": [1, {"a":"b \" c"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := DecodeJSON(b)
		if err != nil {
			if CodeOf(err) != CodeInvalid && CodeOf(err) != CodeTooLarge {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		var plain map[string]any
		if err := json.Unmarshal(b, &plain); err != nil || plain["id"] != e.ID || plain["source"] != e.Source {
			t.Fatalf("id %q, source %q; encoding/json has %v, %v", e.ID, e.Source, plain, err)
		}
		text := e.AppendJSON(nil)
		again, err := DecodeJSON(text)
		if err != nil {
			t.Fatalf("DecodeJSON(%s): %v", text, err)
		}
		if !bytes.Equal(again.AppendJSON(nil), text) || fingerprint(t, &again) != fingerprint(t, &e) {
			t.Fatalf("%s became %s", text, again.AppendJSON(nil))
		}
		if _, err := CheckEncoded(AppendEvent(nil, &e), MaxDataBytes); err != nil {
			t.Fatalf("CheckEncoded: %v", err)
		}
	})
}

func FuzzDecodeJSONBatch(f *testing.F) {
	f.Add(AppendJSONBatch(nil, seedEvents()))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		events, err := DecodeJSONBatch(b)
		if err != nil {
			return
		}
		text := AppendJSONBatch(nil, events)
		again, err := DecodeJSONBatch(text)
		if err != nil || !bytes.Equal(AppendJSONBatch(nil, again), text) {
			t.Errorf("%s became %v, %v", text, again, err)
		}
	})
}

func FuzzRecordedJSON(f *testing.F) {
	for _, e := range seedEvents() {
		r := Recorded{Event: e, Position: 1, Revision: 2, Stream: "s", Stamp: time.Unix(3, 4)}
		f.Add(r.AppendJSON(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r, again Recorded
		if r.UnmarshalJSON(b) != nil {
			return
		}
		text := r.AppendJSON(nil)
		if err := again.UnmarshalJSON(text); err != nil || !bytes.Equal(again.AppendJSON(nil), text) {
			t.Errorf("%s became %s, %v", text, again.AppendJSON(nil), err)
		}
	})
}

// FuzzUnquote holds our reading of JSON strings to that of encoding/json.
func FuzzUnquote(f *testing.F) {
	for _, s := range []string{`"a"`, `"\u00e9\ud83d\ude00\n\b\f\r\t\/\\\""`, `"\ud800"`, `"\udc00\ud800"`, `"é"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if checkJSON(b) != nil || b[0] != '"' || b[len(b)-1] != '"' {
			return
		}
		var want string
		if err := json.Unmarshal(b, &want); err != nil {
			t.Fatal(err)
		}
		got, ok := unquote(b)
		if ok && got != want {
			t.Errorf("%s: got %q, want %q", b, got, want)
		}
		if !ok && !bytes.Contains(b, []byte(`\u`)) {
			t.Errorf("%s is refused", b)
		}
		if back, _ := unquote(AppendQuoted(nil, want)); back != want {
			t.Errorf("%q became %q", want, back)
		}
	})
}

// The short way to read a field must agree with the general one.
func FuzzConsumeBytesField(f *testing.F) {
	for _, b := range []string{"", "\x0a", "\x0a\x00", "\x0a\x01", "\x0a\x01x", "\x0a\x80\x00", "\x0a\x81\x00x", "\x02\x00x", "\x08\x01x",
		"\x8a\x01\x01x", "\x0a\x80\x80\x00", "\x7a\x02xyz", "\x0a\x80\x01" + strings.Repeat("x", 128)} {
		f.Add([]byte(b))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		num, body, n := consumeBytesField(b)
		wantNum, wantBody, wantN := consumeAnyBytesField(b)
		if num != wantNum || n != wantN || !bytes.Equal(body, wantBody) || (body == nil) != (wantBody == nil) {
			t.Errorf("%x: got %d %x %d, want %d %x %d", b, num, body, n, wantNum, wantBody, wantN)
		}
	})
}
