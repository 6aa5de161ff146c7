package managers

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/event"
)

func TestKeysOfAnAck(t *testing.T) {
	t.Parallel()
	e, err := effectsOfLine(`{"ack":{"id":7,"put":[
		{"key":"text","value":"x"},
		{"key":"quoted","value":"x","contentType":"application/json"},
		{"key":"json","value":[1, 2],"ttlMs":0},
		{"bucket":"b","key":"bytes","valueBase64":"/w==","ttlMs":1500,"expected":3}
	],"delete":[{"key":"text","expected":"0"}]}}`)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []KeyChange{
		{Key: "text", Value: []byte("x")},
		{Key: "quoted", Value: []byte(`"x"`), ContentType: contentJSON},
		{Key: "json", Value: []byte("[1, 2]"), ContentType: contentJSON, TTL: NoTTL},
		{Bucket: "b", Key: "bytes", Value: []byte{0xff}, TTL: 1500 * time.Millisecond},
		{Key: "text", Delete: true},
	} {
		got := e.Keys[i]
		expected := got.Expected
		got.Expected = nil
		if got.Bucket != want.Bucket || got.Key != want.Key || string(got.Value) != string(want.Value) || got.ContentType != want.ContentType ||
			got.TTL != want.TTL || got.Delete != want.Delete {
			t.Errorf("change %d is %+v, want %+v", i, got, want)
		}
		if (expected != nil) != (i >= 3) {
			t.Errorf("change %d expects %v", i, expected)
		}
	}
}

func TestKeysOfAnAckThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		`{"ack":{"put":[{"key":"k"}]}}`:                                "put 0: invalid: key \"k\": give one of value",
		`{"ack":{"put":[{"key":"k","value":1,"valueBase64":"AA=="}]}}`: "give one of value",
		`{"ack":{"put":[{"key":"k","value":1,"ttlMs":-1}]}}`:           "ttlMs -1",
		`{"ack":{"put":[{"key":"k","value":1,"expected":"exists"}]}}`:  "exists is of streams",
		`{"ack":{"delete":[{"key":"k","expected":"exists"}]}}`:         "delete 0",
		`{"ack":{"delete":[{"key":"k","value":1}]}}`:                   `unknown field "value"`,
	} {
		if _, err := effectsOfLine(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error about %s", line, err, want)
		}
	}
}

// reader has one key and one fault.
type reader struct{ key Key }

func (r reader) ReadKey(_ context.Context, bucket, key string) (Key, error) {
	switch {
	case bucket == r.key.Bucket && key == r.key.Key:
		return r.key, nil
	case bucket == "broken":
		return Key{}, errors.New("it is broken")
	}
	return Key{}, event.Errorf(event.CodeNotFound, "no")
}

func TestLinesThatAnswerAGet(t *testing.T) {
	t.Parallel()
	expires := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	key := func(value, contentType string) KeyReader {
		return reader{Key{Bucket: DefaultBucket, Key: "k", Value: []byte(value), ContentType: contentType, Revision: 7, Expires: expires}}
	}
	for _, c := range []struct {
		keys KeyReader
		get  workerGet
		want string
	}{
		{key("x<", ""), workerGet{ID: 1, Key: "k"}, `{"value":{"id":1,"found":true,"value":"x<","revision":"7","expires":"2026-01-02T03:04:05Z"}}`},
		{key(`{"a":1}`, "application/json"), workerGet{Key: "k"}, `"value":{"a":1},"contentType":"application/json"`},
		{key("{", "application/json"), workerGet{Key: "k"}, `"value":"{"`},
		{key("\xff", ""), workerGet{Key: "k"}, `"valueBase64":"/w=="`},
		{key("", ""), workerGet{Key: "k"}, `"found":true,"value":""`},
		{key("", ""), workerGet{ID: 2, Bucket: "b", Key: "k"}, `{"value":{"id":2,"found":false,"revision":"0"}}`},
		{key("", ""), workerGet{Bucket: "broken", Key: "k"}, `"error":"it is broken"`},
		{nil, workerGet{Key: "k"}, `"error":"keys cannot be read here"`},
	} {
		line, err := c.get.read(t.Context(), c.keys).encode()
		if err != nil || !strings.Contains(string(line), c.want) {
			t.Errorf("got %s (%v), want %s", line, err, c.want)
		}
	}
}
