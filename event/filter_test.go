package event

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestFilter(t *testing.T) {
	t.Parallel()
	e := Event{
		ID: "1", Source: "/tills/7", Type: "com.example.order.placed", Subject: "orders/4711",
		Time: time.Unix(0, 0), DataContentType: "application/json",
		Extensions: map[string]Value{"priority": Integer(5), "urgent": Bool(true), "region": String("EU")},
	}
	h, err := CheckEncoded(AppendEvent(nil, &e), MaxDataBytes)
	if err != nil {
		t.Fatal(err)
	}
	for filter, want := range map[string]bool{
		`{}`: true,
		`{"exact":{"type":"com.example.order.placed"}}`:                              true,
		`{"exact":{"type":"com.example.order"}}`:                                     false,
		`{"exact":{"region":"eu"}}`:                                                  false,
		`{"exact":{"region":"EU","priority":"5","urgent":"true"}}`:                   true,
		`{"exact":{"region":"EU","priority":"6"}}`:                                   false,
		`{"exact":{"missing":"x"}}`:                                                  false,
		`{"exact":{"time":"1970-01-01T00:00:00Z","specversion":"1.0","id":"1"}}`:     true,
		`{"prefix":{"type":"com.example.","subject":"orders/"}}`:                     true,
		`{"prefix":{"source":"tills"}}`:                                              false,
		`{"suffix":{"type":".placed","datacontenttype":"/json"}}`:                    true,
		`{"suffix":{"missing":"x"}}`:                                                 false,
		`{"not":{"exact":{"missing":"x"}}}`:                                          true,
		`{"not":{"prefix":{"type":"com."}}}`:                                         false,
		`{"all":[{"prefix":{"type":"com."}},{"suffix":{"type":".placed"}}]}`:         true,
		`{"all":[{"prefix":{"type":"com."}},{"not":{"suffix":{"type":".placed"}}}]}`: false,
		`{"any":[{"exact":{"type":"x"}},{"exact":{"id":"1"}}]}`:                      true,
		`{"any":[{"exact":{"type":"x"}},{"exact":{"id":"2"}}]}`:                      false,
	} {
		f, err := ParseFilter([]byte(filter))
		if err != nil {
			t.Errorf("%s: %v", filter, err)
			continue
		}
		if got := f.Matches(&h); got != want {
			t.Errorf("%s matches: %v, want %v", filter, got, want)
		}
		text, err := json.Marshal(f)
		var again Filter
		if err != nil || json.Unmarshal(text, &again) != nil || !reflect.DeepEqual(again, f) {
			t.Errorf("%s became %s, %v", filter, text, err)
		}
	}
}

func TestFilterRefuses(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"not":`, maxFilterDepth) + `{"exact":{"a":"b"}}` + strings.Repeat("}", maxFilterDepth)
	wide := `{"any":[` + strings.Repeat(`{"exact":{"a":"b"}},`, maxFilterNodes) + `{"exact":{"a":"b"}}]}`
	for filter, code := range map[string]Code{
		``: CodeInvalid, `[]`: CodeInvalid, `null`: CodeInvalid, `{`: CodeInvalid,
		`{"sql":"x"}`:                            CodeInvalid,
		`{"Exact":{"a":"b"}}`:                    CodeInvalid,
		`{"exact":{"a":"b"},"prefix":{"a":"b"}}`: CodeInvalid,
		`{"exact":{"a":"b"},"exact":{"a":"b"}}`:  CodeInvalid,
		`{"exact":{"a":"b","a":"c"}}`:            CodeInvalid,
		`{"exact":{}}`:                           CodeInvalid,
		`{"exact":{"a":""}}`:                     CodeInvalid,
		`{"exact":{"a":1}}`:                      CodeInvalid,
		`{"exact":{"A":"x"}}`:                    CodeInvalid,
		`{"exact":{"a":"\n"}}`:                   CodeInvalid,
		`{"exact":{"a":"\ud800"}}`:               CodeInvalid,
		`{"exact":null}`:                         CodeInvalid,
		`{"all":[]}`:                             CodeInvalid,
		`{"all":[{}]}`:                           CodeInvalid,
		`{"all":{"exact":{"a":"b"}}}`:            CodeInvalid,
		`{"not":{}}`:                             CodeInvalid,
		`{"not":[]}`:                             CodeInvalid,
		deep:                                     CodeTooLarge,
		wide:                                     CodeTooLarge,
		strings.Repeat(" ", maxFilterBytes) + `{}`:  CodeTooLarge,
		"{\"exact\":{\"a\":\"\xff\"}}":              CodeInvalid,
		`{"any":[{"exact":{"a":"b"}},{"any":[1]}]}`: CodeInvalid,
	} {
		if _, err := ParseFilter([]byte(filter)); CodeOf(err) != code {
			t.Errorf("%.60s: got %v, want %s", filter, err, code)
		}
	}
}

func TestFilterOfWhatIsNoAttribute(t *testing.T) {
	t.Parallel()
	for filter, want := range map[string]string{
		`{}`: "",
		`{"all":[{"exact":{"edrikind":"request","dataschema":"/a"}},{"not":{"prefix":{"datax":"b"}}}]}`: "",
		`{"prefix":{"edristream":"p"}}`:                                    "edristream is not an attribute of the stored event; use subject",
		`{"not":{"exact":{"edriposition":"7"}}}`:                           "edriposition",
		`{"any":[{"exact":{"type":"a"}},{"suffix":{"edrirevision":"0"}}]}`: "edrirevision",
		`{"all":[{"exact":{"type":"a"}},{"prefix":{"edristamp":"2026"}}]}`: "edristamp",
		`{"exact":{"type":"a","data":"{}"}}`:                               "data is not an attribute of the event;",
	} {
		f, err := ParseFilter([]byte(filter))
		if err != nil {
			t.Fatalf("%s: %v", filter, err)
		}
		err = f.CheckAttributes()
		if (want == "") != (err == nil) || err != nil && (CodeOf(err) != CodeInvalid || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", filter, err, want)
		}
	}
}

func FuzzParseFilter(f *testing.F) {
	f.Add([]byte(`{"all":[{"exact":{"type":"a"}},{"any":[{"not":{"prefix":{"id":"1"}}},{"suffix":{"x":"é"}}]}]}`))
	f.Add([]byte(`{}`))
	h, err := ScanHeader(AppendEvent(nil, benchEvent()))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		filter, err := ParseFilter(b)
		if err != nil {
			return
		}
		filter.Matches(&h)
		text, err := json.Marshal(filter)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > maxFilterBytes {
			return // escapes may make it longer
		}
		again, err := ParseFilter(text)
		if err != nil || !reflect.DeepEqual(again, filter) {
			t.Errorf("%s became %s, %v", b, text, err)
		}
	})
}
