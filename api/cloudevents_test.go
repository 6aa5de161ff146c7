package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/event"
)

const ceEvent = `{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":"order/1","data":{"total":7}}`

func (f *fixture) postEvent(contentType, query, body string) (*http.Response, string) {
	f.t.Helper()
	return f.do("POST", "/v1/events"+query, map[string]string{"Content-Type": contentType}, body)
}

func decodeJSON[T any](t *testing.T, body string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("decode %s: %v", body, err)
	}
	return v
}

func TestPostStructuredAndReadBack(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	response, body := f.postEvent(mediaEvent, "", ceEvent)
	if response.StatusCode != 200 {
		t.Fatalf("got %d %s", response.StatusCode, body)
	}
	got := decodeJSON[postedResult](t, body)
	if len(got.Events) != 1 || got.Position != "1" || got.Events[0] != (appendedResult{Position: "1", Revision: "1"}) {
		t.Errorf("got %+v", got)
	}
	_, body = f.postEvent(mediaEvent+"; charset=utf-8", "", ceEvent)
	if got := decodeJSON[postedResult](t, body); !got.Events[0].Duplicate || got.Events[0].Position != "1" {
		t.Errorf("again: got %+v", got)
	}
	response, body = f.do("GET", "/v1/events/1?consistency=linearizable&min_position=1", nil, "")
	read := decodeJSON[event.Recorded](t, body)
	if response.Header.Get("Content-Type") != mediaEvent || read.Stream != "order/1" || read.Position != 1 || read.Revision != 1 ||
		string(read.Data) != `{"total":7}` || read.Stamp.IsZero() {
		t.Errorf("got %s %+v", response.Header.Get("Content-Type"), read)
	}
	// What was exported may be imported again: it is the same event.
	_, again := f.postEvent(mediaEvent, "", body)
	if got := decodeJSON[postedResult](t, again); !got.Events[0].Duplicate {
		t.Errorf("the exported event: got %+v", got)
	}
}

func TestPostBatchIsOneCommit(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	second := strings.Replace(ceEvent, `"id":"1"`, `"id":"2"`, 1)
	response, body := f.postEvent(mediaBatch, "?stream=s&expected=0", "["+ceEvent+","+second+"]")
	got := decodeJSON[postedResult](t, body)
	if response.StatusCode != 200 || len(got.Events) != 2 || got.Events[1].Revision != "2" {
		t.Fatalf("got %d %s", response.StatusCode, body)
	}
	third := strings.Replace(ceEvent, `"id":"1"`, `"id":"3"`, 1)
	other := strings.Replace(ceEvent, `"total":7`, `"total":8`, 1)
	response, body = f.postEvent(mediaBatch, "", "["+third+","+other+"]")
	p := decodeJSON[problem](t, body)
	if response.StatusCode != 409 || p.Code != event.CodeCheckFailed || len(p.Violations) != 1 ||
		p.Violations[0].Event != 1 || p.Violations[0].Code != event.CodeIDConflict {
		t.Errorf("got %d %s", response.StatusCode, body)
	}
	if last := f.node.core.Meta().Mark.Last; last != 2 {
		t.Errorf("the journal ends at %d, want 2", last)
	}
	response, body = f.postEvent(mediaBatch, "", "[]")
	if got := decodeJSON[postedResult](t, body); response.StatusCode != 200 || len(got.Events) != 0 {
		t.Errorf("an empty batch: got %d %s", response.StatusCode, body)
	}
}

func TestPostBinary(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	header := map[string]string{
		"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t", "ce-subject": "caf%C3%A9",
		"ce-time": "2026-01-02T03:04:05Z", "ce-correlationid": "c", "ce-edriposition": "77",
		"Content-Type": "text/plain",
	}
	response, body := f.do("POST", "/v1/events?stream=s", header, "hello")
	if response.StatusCode != 200 {
		t.Fatalf("got %d %s", response.StatusCode, body)
	}
	_, body = f.do("GET", "/v1/events/1", nil, "")
	e := decodeJSON[event.Recorded](t, body)
	if e.Subject != "café" || string(e.Data) != "hello" || e.DataContentType != "text/plain" || e.Position != 1 ||
		e.Extensions["correlationid"] != event.String("c") || !e.Time.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) {
		t.Errorf("got %+v", e)
	}
	// The same in structured mode is the same event.
	_, body = f.postEvent(mediaEvent, "", `{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":"café",`+
		`"correlationid":"c","datacontenttype":"text/plain","data":"hello"}`)
	if got := decodeJSON[postedResult](t, body); len(got.Events) != 1 || !got.Events[0].Duplicate {
		t.Errorf("got %s", body)
	}
}

func TestBadPostsAreProblems(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	f.postEvent(mediaEvent, "?stream=s", ceEvent)
	binary := map[string]string{"ce-specversion": "1.0", "ce-id": "9", "ce-source": "/s", "ce-type": "t"}
	with := func(key, value string) map[string]string {
		h := map[string]string{key: value}
		for k, v := range binary {
			if _, ok := h[k]; !ok {
				h[k] = v
			}
		}
		return h
	}
	structured := map[string]string{"Content-Type": mediaEvent}
	for name, tc := range map[string]struct {
		query  string
		header map[string]string
		body   string
		status int
		code   event.Code
		says   string
	}{
		"no mode":              {"", map[string]string{"Content-Type": "application/json"}, ceEvent, 400, event.CodeInvalid, "application/json"},
		"other format":         {"", map[string]string{"Content-Type": "application/cloudevents+avro"}, "", 400, event.CodeInvalid, "avro"},
		"broken content type":  {"", map[string]string{"Content-Type": ";;"}, "", 400, event.CodeInvalid, ";;"},
		"not JSON":             {"", structured, "{", 400, event.CodeInvalid, ""},
		"no type":              {"", structured, `{"specversion":"1.0","id":"9","source":"/s"}`, 400, event.CodeInvalid, "type"},
		"extension name":       {"", structured, strings.Replace(ceEvent, `"data"`, `"Bad_Name":"v","data"`, 1), 400, event.CodeInvalid, "Bad_Name"},
		"not UTF-8":            {"", structured, strings.Replace(ceEvent, "/s", "\xff", 1), 400, event.CodeInvalid, `\\xff`},
		"parameter":            {"?strem=s", structured, ceEvent, 400, event.CodeInvalid, "strem"},
		"parameter twice":      {"?stream=s&stream=t", structured, ceEvent, 400, event.CodeInvalid, "stream"},
		"expected":             {"?expected=soon", structured, ceEvent, 400, event.CodeInvalid, "soon"},
		"stream":               {"?stream=%07", structured, ceEvent, 400, event.CodeInvalid, "stream"},
		"expected of a batch":  {"?expected=1", map[string]string{"Content-Type": mediaBatch}, "[" + ceEvent + "," + ceEvent + "]", 400, event.CodeInvalid, "stream"},
		"conflict":             {"?stream=s&expected=5", structured, strings.Replace(ceEvent, `"id":"1"`, `"id":"9"`, 1), 409, event.CodeRevisionConflict, `"actual":"1"`},
		"same id":              {"", structured, strings.Replace(ceEvent, "7", "8", 1), 409, event.CodeIDConflict, `"position":"1"`},
		"spec version":         {"", with("ce-specversion", "0.3"), "", 400, event.CodeInvalid, "0.3"},
		"time":                 {"", with("ce-time", "soon"), "", 400, event.CodeInvalid, "soon"},
		"percent":              {"", with("ce-subject", "%ff"), "", 400, event.CodeInvalid, "subject"},
		"binary extension":     {"", with("ce-bad-name", "v"), "", 400, event.CodeInvalid, "bad-name"},
		"binary content type":  {"", with("ce-datacontenttype", "text/plain"), "", 400, event.CodeInvalid, "datacontenttype"},
		"large data":           {"", binary, strings.Repeat("x", 1<<20+1), 413, event.CodeTooLarge, `"size":1048577,"max":1048576`},
		"large request":        {"", binary, strings.Repeat("x", 9<<20), 413, event.CodeTooLarge, `"max":8454144`},
		"more than 1000":       {"", map[string]string{"Content-Type": mediaBatch}, "[" + strings.Repeat(ceEvent+",", 1000) + ceEvent + "]", 413, event.CodeTooLarge, "1001"},
		"unknown spec version": {"", structured, strings.Replace(ceEvent, "1.0", "2.0", 1), 400, event.CodeInvalid, "2.0"},
	} {
		response, body := f.do("POST", "/v1/events"+tc.query, tc.header, tc.body)
		p := decodeJSON[problem](t, body)
		if response.StatusCode != tc.status || p.Status != tc.status || p.Code != tc.code || !strings.Contains(body, tc.says) ||
			response.Header.Get("Content-Type") != "application/problem+json" || p.Type != "urn:edri:error:"+string(tc.code) {
			t.Errorf("%s: got %d %s, want %d %s with %q", name, response.StatusCode, body, tc.status, tc.code, tc.says)
		}
	}
	if last := f.node.core.Meta().Mark.Last; last != 1 {
		t.Errorf("the journal ends at %d, want 1", last)
	}
}

func lines(t *testing.T, body string) (all []event.Recorded) {
	t.Helper()
	for line := range strings.Lines(body) {
		all = append(all, decodeJSON[event.Recorded](t, line))
	}
	return all
}

func TestGetEventsAsLines(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	f.fill(1200)
	for query, want := range map[string]struct {
		n           int
		first, last event.Position
	}{
		"":                                  {1200, 1, 1200},
		"?from=5&to=10":                     {6, 5, 10},
		"?reverse=true&limit=2":             {2, 1200, 1199},
		"?type=test.event&source=/test":     {1200, 1, 1200},
		"?type_prefix=test&limit=1":         {1, 1, 1},
		"?since=2020-01-01T00:00:00Z":       {1200, 1, 1200},
		"?until=2020-01-01T00:00:00Z":       {0, 0, 0},
		"?consistency=stale&min_position=3": {1200, 1, 1200},
		"?follow=true&limit=3":              {3, 1, 3},
	} {
		response, body := f.do("GET", "/v1/events"+query, nil, "")
		got := lines(t, body)
		if len(got) != want.n || want.n > 0 && (got[0].Position != want.first || got[want.n-1].Position != want.last) {
			t.Errorf("%s: got %d events, want %+v", query, len(got), want)
		}
		if response.Header.Get("Content-Type") != mediaNDJSON || response.Trailer.Get(cursorHeader) == "" {
			t.Errorf("%s: got header %v, trailer %v", query, response.Header, response.Trailer)
		}
	}
	response, _ := f.do("GET", "/v1/events?limit=7", nil, "")
	_, body := f.do("GET", "/v1/events?limit=1&cursor="+url.QueryEscape(response.Trailer.Get(cursorHeader)), nil, "")
	if got := lines(t, body); len(got) != 1 || got[0].Position != 8 {
		t.Errorf("the cursor goes on at %v", got)
	}
}

func TestGetEventsAsBatch(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	f.fill(250)
	accept := map[string]string{"Accept": mediaBatch}
	cursor, total := "", 0
	for _, want := range []int{100, 100, 50, 0} {
		response, body := f.do("GET", "/v1/events?cursor="+url.QueryEscape(cursor), accept, "")
		got := decodeJSON[[]event.Recorded](t, body)
		if len(got) != want || response.Header.Get("Content-Type") != mediaBatch {
			t.Fatalf("got %d events, want %d", len(got), want)
		}
		for _, e := range got {
			if total++; e.Position != event.Position(total) {
				t.Fatalf("got position %d, want %d", e.Position, total)
			}
		}
		cursor = response.Header.Get(cursorHeader)
	}
}

func TestBadGetsAreProblems(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	f.fill(1)
	batch := map[string]string{"Accept": mediaBatch}
	for path, tc := range map[string]struct {
		header map[string]string
		status int
		says   string
	}{
		"/v1/events/9":                        {nil, 404, "not_found"},
		"/v1/events/0":                        {nil, 400, "position 0"},
		"/v1/events/x":                        {nil, 400, "x"},
		"/v1/events/1?min_position=x":         {nil, 400, "min_position"},
		"/v1/events/1?consistency=fresh":      {nil, 400, "fresh"},
		"/v1/events/1?typ=t":                  {nil, 400, "typ"},
		"/v1/events?cursor=nonsense":          {nil, 400, "nonsense"},
		"/v1/events?limit=-1":                 {nil, 400, "-1"},
		"/v1/events?since=yesterday":          {nil, 400, "yesterday"},
		"/v1/events?until=1969-01-01T00:00Z":  {nil, 400, "until"},
		"/v1/events?follow=maybe":             {nil, 400, "maybe"},
		"/v1/events?follow=true&reverse=true": {nil, 400, "reverse"},
		"/v1/events?follow=true":              {batch, 400, "follow"},
		"/v1/events?limit=1001":               {batch, 400, "1001"},
		"/v1/events?from=3&to=2":              {nil, 400, "from 3"},
		"/v1/events?%zz":                      {nil, 400, "query"},
	} {
		response, body := f.do("GET", path, tc.header, "")
		if response.StatusCode != tc.status || !strings.Contains(body, tc.says) ||
			response.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: got %d %s", path, response.StatusCode, body)
		}
	}
}

func TestFollowOverHTTP(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	f.fill(1)
	r, err := http.NewRequestWithContext(testContext(t), "GET", f.url+"/v1/events?follow=true&stream=s", nil)
	if err != nil {
		t.Fatalf("new request: %v", err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	defer response.Body.Close()
	scanner := bufio.NewScanner(response.Body)
	for want := event.Position(1); want <= 3; want++ {
		if !scanner.Scan() {
			t.Fatalf("ended: %v", scanner.Err())
		}
		if got := decodeJSON[event.Recorded](t, scanner.Text()); got.Position != want {
			t.Errorf("got %d, want %d", got.Position, want)
		}
		if _, err := f.client.Append(testContext(t), "s", event.ExpectAny, testEvent((want + 1).String())); err != nil {
			t.Fatalf("append: %v", err)
		}
	}
}

func FuzzDecodePosted(f *testing.F) {
	f.Add(mediaEvent, "", []byte(ceEvent))
	f.Add(mediaBatch, "", []byte("["+ceEvent+"]"))
	f.Add("text/plain", "1", []byte("hello"))
	f.Fuzz(func(t *testing.T, contentType, id string, body []byte) {
		h := http.Header{}
		h.Set("Content-Type", contentType)
		if id != "" {
			h.Set("ce-specversion", "1.0")
			h.Set("ce-id", id)
			h.Set("ce-source", "/s")
			h.Set("ce-type", "t")
			h.Set("ce-subject", id)
		}
		events, err := decodePosted(h, body)
		if err != nil {
			if code := event.CodeOf(err); code != event.CodeInvalid && code != event.CodeTooLarge {
				t.Errorf("got %v of code %s", err, code)
			}
			return
		}
		for i := range events {
			encoded := event.AppendEvent(nil, &events[i])
			if _, err := event.CheckEncoded(encoded, event.MaxDataBytes); err != nil {
				t.Errorf("what was decoded is refused: %v", err)
			}
			if decoded, err := event.DecodeEvent(encoded); err != nil || !bytes.Equal(decoded.Data, events[i].Data) {
				t.Errorf("data %q came back as %q, %v", events[i].Data, decoded.Data, err)
			}
		}
	})
}

func FuzzReadParameters(f *testing.F) {
	f.Add("stream=s&from=1&limit=2&since=2026-01-01T00:00:00Z&reverse=true&consistency=stale")
	f.Add("cursor=abc&follow=1")
	f.Fuzz(func(t *testing.T, raw string) {
		query, err := parameters(&http.Request{URL: &url.URL{RawQuery: raw}}, readParameters...)
		if err != nil {
			return
		}
		p := parser{query: query}
		request := p.request()
		if p.err == nil {
			if _, err := newQuery(request); err != nil && event.CodeOf(err) == event.CodeInternal {
				t.Errorf("got %v", err)
			}
		}
	})
}
