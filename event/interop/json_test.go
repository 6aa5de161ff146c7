package interop

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	sdk "github.com/cloudevents/sdk-go/v2/event"
	"pgregory.net/rapid"

	"github.com/edri-io/edri/event"
)

func TestSDKReadsOurJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := genEvent.Draw(t, "event")
		text := e.AppendJSON(nil)
		var got sdk.Event
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("Unmarshal(%s): %v", text, err)
		}
		if err := got.Validate(); err != nil {
			t.Fatalf("Validate(%s): %v", text, err)
		}
		if g, w := viewSDK(t, got, false), viewEdri(e.Event, false); !g.equal(w) {
			t.Fatalf("%s\ngot  %v\nwant %v", text, g, w)
		}
	})
}

func TestWeReadTheSDKsJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := genEvent.Draw(t, "event")
		text, err := toSDK(t, e.Event, e.base64).MarshalJSON()
		if err != nil {
			t.Fatalf("MarshalJSON: %v", err)
		}
		got, err := event.DecodeJSON(text)
		if err != nil {
			t.Fatalf("DecodeJSON(%s): %v", text, err)
		}
		if g, w := viewEdri(got, false), viewEdri(e.Event, false); !g.equal(w) {
			t.Fatalf("%s\ngot  %v\nwant %v", text, g, w)
		}
	})
}

func TestBatchesAgree(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		drawn := rapid.SliceOfN(genEvent, 0, 4).Draw(t, "events")
		ours := make([]event.Event, len(drawn))
		theirs := make([][]byte, len(drawn))
		for i, e := range drawn {
			ours[i] = e.Event
			text, err := toSDK(t, e.Event, e.base64).MarshalJSON()
			if err != nil {
				t.Fatalf("MarshalJSON: %v", err)
			}
			theirs[i] = text
		}
		var read []sdk.Event
		if err := json.Unmarshal(event.AppendJSONBatch(nil, ours), &read); err != nil || len(read) != len(ours) {
			t.Fatalf("the SDK reads %d of %d: %v", len(read), len(ours), err)
		}
		batch := slices.Concat([]byte("["), bytes.Join(theirs, []byte(", ")), []byte("]"))
		decoded, err := event.DecodeJSONBatch(batch)
		if err != nil || len(decoded) != len(ours) {
			t.Fatalf("we read %d of %d: %v", len(decoded), len(ours), err)
		}
		for i, e := range ours {
			want := viewEdri(e, false)
			if got := viewSDK(t, read[i], false); !got.equal(want) {
				t.Fatalf("the SDK reads %v, want %v", got, want)
			}
			if got := viewEdri(decoded[i], false); !got.equal(want) {
				t.Fatalf("we read %v, want %v", got, want)
			}
		}
	})
}

// What one side refuses and the other takes is listed here; edri takes nothing that the
// SDK refuses.
func TestRefusals(t *testing.T) {
	t.Parallel()
	const head = `{"specversion":"1.0","id":"1","source":"/s","type":"t"`
	for text, want := range map[string]struct{ edri, sdk bool }{
		head + `}`: {true, true},
		head + `,"time":"2026-01-02T03:04:05.678+02:00"}`:                 {true, true},
		head + `,"data_base64":"AA=="}`:                                   {true, true},
		head + `,"x":true,"y":-1,"z":""}`:                                 {true, true},
		`{"specversion":"1.0","id":"1","source":"/s"}`:                    {},
		`{"specversion":"1.0","id":"1","type":"t"}`:                       {},
		`{"specversion":"1.0","source":"/s","type":"t"}`:                  {},
		`{"specversion":"9","id":"1","source":"/s","type":"t"}`:           {},
		`{"id":"1","source":"/s","type":"t"}`:                             {},
		head + `,"foo_bar":"x"}`:                                          {},
		head + `,"time":"yesterday"}`:                                     {},
		head + `,"x":{"a":1}}`:                                            {},
		head + `,"x":1.5}`:                                                {sdk: true}, // which takes it for 1
		head + `,"x":2147483648}`:                                         {},
		head + `,"datacontenttype":"a b"}`:                                {},
		head + `,"dataschema":"relative"}`:                                {},
		`{"specversion":"1.0","id":"1","source":"1:2","type":"t"}`:        {},
		`{"specversion":"1.0","id":"1","source":"http://h:x","type":"t"}`: {},
		`{"specversion":"0.3","id":"1","source":"/s","type":"t"}`:         {sdk: true}, // an old version
		`{"specversion":"1.0","id":"1","source":"a b","type":"t"}`:        {sdk: true}, // no URI reference
		`{"specversion":"1.0","id":"a\u0001","source":"/s","type":"t"}`:   {sdk: true}, // a control character
		head + `,"Foo":"x"}`:                                              {sdk: true}, // upper case
		head + `,"x":1.0}`:                                                {sdk: true}, // written as no integer
		head + `,"id":"2"}`:                                               {sdk: true}, // ambiguous
		head + `,"data":1,"data_base64":"AA=="}`:                          {sdk: true}, // ambiguous
		head + `,"edrikind":"x"}`:                                         {sdk: true}, // edri's own
		head + `,"correlationid":5}`:                                      {sdk: true}, // edri's own
	} {
		_, err := event.DecodeJSON([]byte(text))
		if got := err == nil; got != want.edri {
			t.Errorf("edri accepts %s: %v (%v), want %v", text, got, err, want.edri)
		}
		var e sdk.Event
		if err = json.Unmarshal([]byte(text), &e); err == nil {
			err = e.Validate()
		}
		if got := err == nil; got != want.sdk {
			t.Errorf("the SDK accepts %s: %v (%v), want %v", text, got, err, want.sdk)
		}
	}
}
