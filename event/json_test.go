package event

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestDecodeJSON(t *testing.T) {
	t.Parallel()
	const head = `{"specversion":"1.0","id":"1","source":"/s","type":"t"`
	at := time.Date(2026, 1, 2, 3, 4, 5, 600_000_000, time.UTC)
	tests := map[string]struct {
		members string
		change  func(*Event)
	}{
		"required attributes": {``, func(*Event) {}},
		"time with an offset": {`,"time":"2026-01-02T05:04:05.6+02:00"`, func(e *Event) { e.Time = at }},
		"escapes":             {`,"subject":"\u00e9\ud83d\ude00\/\"\\"`, func(e *Event) { e.Subject = "é😀/\"\\" }},
		"escaped name":        {`,"\u0078":"y"`, func(e *Event) { e.extend("x", String("y")) }},
		"extensions": {`,"a":"x","b":true,"c":-2147483648,"d":false`, func(e *Event) {
			e.Extensions = map[string]Value{"a": String("x"), "b": Bool(true), "c": Integer(-1 << 31), "d": Bool(false)}
		}},
		"null is absent":          {`,"subject":null,"time":null,"x":null,"data_base64":null`, func(*Event) {}},
		"JSON data":               {`,"data": { "a" : [ 1.50, "x  y" ] }`, func(e *Event) { e.Data = []byte(`{"a":[1.50,"x  y"]}`) }},
		"number that float loses": {`,"data":123456789012345678901234567890.10`, func(e *Event) { e.Data = []byte(`123456789012345678901234567890.10`) }},
		"JSON string":             {`,"data":"x"`, func(e *Event) { e.Data = []byte(`"x"`) }},
		"JSON null":               {`,"data":null`, func(e *Event) { e.Data = []byte(`null`) }},
		"text":                    {`,"datacontenttype":"text/plain","data":"a\nb"`, func(e *Event) { e.DataContentType = "text/plain"; e.Data = []byte("a\nb") }},
		"text before its type":    {`,"data":"a","datacontenttype":"text/plain"`, func(e *Event) { e.DataContentType = "text/plain"; e.Data = []byte("a") }},
		"object as text":          {`,"datacontenttype":"text/plain","data":{"a": 1}`, func(e *Event) { e.DataContentType = "text/plain"; e.Data = []byte(`{"a":1}`) }},
		"null as text":            {`,"datacontenttype":"text/plain","data":null`, func(e *Event) { e.DataContentType = "text/plain" }},
		"base64":                  {`,"data_base64":"AP8="`, func(e *Event) { e.Data = []byte{0, 255} }},
		"empty base64":            {`,"data_base64":""`, func(e *Event) { e.Data = []byte{} }},
		"exported":                {`,"edristream":"s","edriposition":"7","edrirevision":"x","edristamp":5`, func(*Event) {}},
		"edri's for producers": {`,"edrikind":"request","correlationid":"c"`, func(e *Event) {
			e.Extensions = map[string]Value{AttrKind: String("request"), AttrCorrelation: String("c")}
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := validEvent()
			test.change(&want)
			got, err := DecodeJSON([]byte(" " + head + test.members + " }\n"))
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("got %#v, %v\nwant %#v", got, err, want)
			}
		})
	}
}

func TestDecodeJSONRefuses(t *testing.T) {
	t.Parallel()
	const head = `{"specversion":"1.0","id":"1","source":"/s","type":"t"`
	for text, want := range map[string]string{
		``:                                    "json: ",
		`[]`:                                  "not a JSON object",
		`null`:                                "not a JSON object",
		head:                                  "json: ",
		head + "}{}":                          "json: ",
		head + ",\"subject\":\"\xff\"}":       `is not UTF-8 at byte`,
		`{"id":"1","source":"/s","type":"t"}`: "specversion: is missing",
		`{"specversion":null,"id":"1","source":"/s","type":"t"}`:   "specversion \"null\": is not a JSON string",
		`{"specversion":"0.3","id":"1","source":"/s","type":"t"}`:  `specversion "0.3"`,
		`{"specversion":1.0,"id":"1","source":"/s","type":"t"}`:    "specversion \"1.0\": is not a JSON string",
		`{"specversion":"1.0","source":"/s","type":"t"}`:           "id: is missing",
		`{"specversion":"1.0","id":"","source":"/s","type":"t"}`:   "id: is empty",
		`{"specversion":"1.0","id":"1","source":"a b","type":"t"}`: `source "a b"`,
		`{"specversion":"1.0","id":7,"source":"/s","type":"t"}`:    `id "7": is not a JSON string`,
		`{"specversion":"1.0","id":"1","source":"/s","type":null}`: "type: is missing",
		head + `,"id":"2"}`:                                           `attribute "id": appears twice`,
		head + `,"\u0069d":"2"}`:                                      `attribute "id": appears twice`,
		head + `,"subject":"\ud800"}`:                                 "is not Unicode text",
		head + `,"subject":"\ud800\u0041"}`:                           "is not Unicode text",
		head + `,"subject":"a\u0000"}`:                                `subject "a\x00"`,
		head + `,"time":"2026-01-02"}`:                                `time "2026-01-02": is not an RFC 3339 time`,
		head + `,"time":"2026-01-02T1:04:05Z"}`:                       "is not an RFC 3339 time",
		head + `,"time":"2026-01-02T01:04:05,5Z"}`:                    "is not an RFC 3339 time",
		head + `,"time":"2026-01-02T01:04:05+24:00"}`:                 "is not an RFC 3339 time",
		head + `,"time":"2026-01-02T01:04:05+00:60"}`:                 "is not an RFC 3339 time",
		head + `,"time":"0000-01-02T00:00:00Z"}`:                      "years 1 to 9999",
		head + `,"time":"9999-12-31T23:59:59-01:00"}`:                 "years 1 to 9999",
		head + `,"time":"0001-01-01T00:00:00Z"}`:                      "stands for no time",
		head + `,"time":5}`:                                           `time "5": is not a JSON string`,
		head + `,"Foo":"x"}`:                                          `attribute "Foo"`,
		head + `,"foo_bar":null}`:                                     `attribute "foo_bar"`,
		head + `,"":"x"}`:                                             `attribute ""`,
		head + `,"x":1.0}`:                                            `x "1.0": is not an integer of 32 bits`,
		head + `,"x":2147483648}`:                                     `x "2147483648": is not an integer of 32 bits`,
		head + `,"x":1e3}`:                                            "is not an integer of 32 bits",
		head + `,"x":{"a":1}}`:                                        `x "{\"a\":1}"`,
		head + `,"x":[]}`:                                             `x "[]"`,
		head + `,"correlationid":5}`:                                  "correlationid: is of type integer, want string",
		head + `,"data":1,"data_base64":"AA=="}`:                      "beside data_base64",
		head + `,"data_base64":"%"}`:                                  `data_base64 "%"`,
		head + `,"data_base64":5}`:                                    "is not a JSON string",
		head + `,"datacontenttype":"x"}`:                              `datacontenttype "x"`,
		head + `,"dataschema":"/a"}`:                                  `dataschema "/a": is not an absolute URI`,
		head + `,"edrikind":"x"}`:                                     `edrikind "x"`,
		head + `,"data":"\ud800","datacontenttype":"text/plain"}`:     "is not Unicode text",
		head + `,"data":"` + strings.Repeat("x", MaxDataBytes) + `"}`: "1048578 is more than 1048576",
	} {
		_, err := DecodeJSON([]byte(text))
		var typed *Error
		if !errors.As(err, &typed) || !strings.Contains(typed.Message, want) {
			t.Errorf("%.90s: got %v, want %s", text, err, want)
		}
	}
}

func TestAppendJSON(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", maxNesting+1) + strings.Repeat("]", maxNesting+1)
	tests := map[string]struct {
		e    Event
		want string // after the required attributes
	}{
		"no data":            {Event{}, ``},
		"JSON":               {Event{Data: []byte("{\n \"a\": \"<b> c\"\n}")}, `,"data":{"a":"<b> c"}`},
		"not JSON":           {Event{Data: []byte("{")}, `,"data_base64":"ew=="`},
		"JSON not UTF-8":     {Event{Data: []byte("\"\xff\"")}, `,"data_base64":"Iv8i"`},
		"empty JSON":         {Event{Data: []byte{}}, `,"data_base64":""`},
		"text":               {Event{DataContentType: "text/plain; charset=utf-8", Data: []byte("a\n\"\\\x01é")}, `,"datacontenttype":"text/plain; charset=utf-8","data":"a\n\"\\\u0001é"`},
		"text not UTF-8":     {Event{DataContentType: "TEXT/csv", Data: []byte("\xff")}, `,"datacontenttype":"TEXT/csv","data_base64":"/w=="`},
		"XML":                {Event{DataContentType: "application/atom+xml", Data: []byte("<a/>")}, `,"datacontenttype":"application/atom+xml","data":"<a/>"`},
		"binary":             {Event{DataContentType: "image/png", Data: []byte("a")}, `,"datacontenttype":"image/png","data_base64":"YQ=="`},
		"values":             {Event{Extensions: map[string]Value{"b": Bool(true), "i": Integer(-3), "y": Binary([]byte("a")), "u": URI("a:b"), "t": Timestamp(time.Unix(0, 5))}}, `,"b":true,"i":-3,"t":"1970-01-01T00:00:00.000000005Z","u":"a:b","y":"YQ=="`},
		"attributes by name": {Event{Subject: "s", Time: time.Unix(1, 0), DataSchema: "a:b", Extensions: map[string]Value{"e": String("x"), "z": String("y")}}, `,"dataschema":"a:b","e":"x","subject":"s","time":"1970-01-01T00:00:01Z","z":"y"`},
		"too deep":           {Event{Data: []byte("[" + strings.Repeat("[", maxNesting-1) + strings.Repeat("]", maxNesting))}, `,"data":[` + strings.Repeat("[", maxNesting-1) + strings.Repeat("]", maxNesting)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.e.ID, test.e.Source, test.e.Type = "1", "/s", "t"
			want := `{"specversion":"1.0","id":"1","source":"/s","type":"t"` + test.want + `}`
			if got := string(test.e.AppendJSON(nil)); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
	e := validEvent()
	e.Data = []byte(deep)
	if got := string(e.AppendJSON(nil)); !strings.Contains(got, "data_base64") {
		t.Errorf("data that nests %d deep is written as JSON", maxNesting+1)
	}
}

func TestMarshalJSONRefusesInvalidEvent(t *testing.T) {
	t.Parallel()
	e := validEvent()
	e.Subject = "\xff"
	for _, v := range []any{e, &e, Recorded{Event: e}, []Event{e}} {
		if _, err := json.Marshal(v); CodeOf(err) != CodeInvalid {
			t.Errorf("%T: got %v", v, err)
		}
	}
}

func TestRecordedNeedsItsPlace(t *testing.T) {
	t.Parallel()
	r := Recorded{Event: validEvent(), Position: 1, Revision: 2, Stream: "s", Stamp: time.Unix(3, 4)}
	whole := string(r.AppendJSON(nil))
	for _, member := range []string{
		`,"edristream":"s"`, `,"edriposition":"1"`, `,"edrirevision":"2"`, `,"edristamp":"1970-01-01T00:00:03.000000004Z"`,
	} {
		text := strings.Replace(whole, member, "", 1)
		if len(text) == len(whole) {
			t.Errorf("%s lacks %s", whole, member)
		}
		var got Recorded
		if err := json.Unmarshal([]byte(text), &got); CodeOf(err) != CodeInvalid {
			t.Errorf("%s: got %v", text, err)
		}
	}
	for _, bad := range []string{`"0"`, `"-1"`, `1`, `"18446744073709551616"`} {
		text := strings.Replace(whole, `"edriposition":"1"`, `"edriposition":`+bad, 1)
		if err := new(Recorded).UnmarshalJSON([]byte(text)); CodeOf(err) != CodeInvalid {
			t.Errorf("%s: got %v", text, err)
		}
	}
}

func TestDecodeJSONBatch(t *testing.T) {
	t.Parallel()
	const one = `{"specversion":"1.0","id":"1","source":"/s","type":"t"}`
	for text, want := range map[string]int{`[]`: 0, ` [ ] `: 0, `[` + one + `]`: 1, `[ ` + one + ` , ` + one + ` ] `: 2} {
		if got, err := DecodeJSONBatch([]byte(text)); err != nil || got == nil || len(got) != want {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		``: "json", one: "not a JSON array", `null`: "not a JSON array", `[1]`: "event 0: ",
		`[` + one + `,{}]`: "event 1: specversion: is missing",
	} {
		_, err := DecodeJSONBatch([]byte(text))
		if CodeOf(err) != CodeInvalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}
