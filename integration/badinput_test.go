package integration

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/integration/cluster"
)

// post sends one request in the API's JSON form, as curl would, and returns the
// status and the body.
func post(t *testing.T, n *cluster.Node, procedure, body string) (int, string) {
	t.Helper()
	return postAs(t, n, procedure, "application/json", []byte(body))
}

func postAs(t *testing.T, n *cluster.Node, procedure, contentType string, body []byte) (int, string) {
	t.Helper()
	url := n.URL() + "/edri.v1." + procedure
	req, err := http.NewRequestWithContext(within(t, 20*time.Second), http.MethodPost, url, bytes.NewReader(body))
	must(t, err)
	req.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, string(answer)
}

// appendJSON is a commit of one append with an event of the given members.
func appendJSON(members string) string {
	return `{"ops":[{"append":{"event":{` + members + `}}}]}`
}

func TestBadInputIsRefusedWithATypedErrorAndStoresNothing(t *testing.T) {
	t.Parallel()
	c := start(t, 1)
	n := c.Nodes()[0]
	const good = `"id":"1","source":"/s","specVersion":"1.0","type":"t"`
	if status, body := post(t, n, "Events/Commit", appendJSON(good+`,"textData":"first"`)); status != http.StatusOK {
		t.Fatalf("a good commit: %d %s", status, body)
	}
	control := "a" + string(rune(7)) + "b"
	quotedControl, err := json.Marshal(control)
	must(t, err)
	large := base64.StdEncoding.EncodeToString(make([]byte, 1<<20+1))
	for name, tc := range map[string]struct {
		procedure, body string
		code            event.Code
		says            []string
	}{
		"event data above 1 MiB": {"Events/Commit", appendJSON(good + `,"binaryData":"` + large + `"`),
			event.CodeTooLarge, []string{"1048577", "1048576"}},
		"no source": {"Events/Commit", appendJSON(`"id":"1","specVersion":"1.0","type":"t"`),
			event.CodeInvalid, []string{"source"}},
		"name with a control character": {"Events/Commit", appendJSON(`"id":` + string(quotedControl) + `,"source":"/s","specVersion":"1.0","type":"t"`),
			event.CodeInvalid, []string{"id"}},
		"illegal extension name": {"Events/Commit", appendJSON(good + `,"attributes":{"Bad-Name":{"ceString":"v"}}`),
			event.CodeInvalid, []string{"Bad-Name"}},
		"unknown spec version": {"Events/Commit", appendJSON(`"id":"1","source":"/s","specVersion":"0.3","type":"t"`),
			event.CodeInvalid, []string{"0.3"}},
		"same id, other content": {"Events/Commit", appendJSON(good + `,"textData":"second"`),
			event.CodeIDConflict, []string{"1"}},
		"wrong expected revision": {"Events/Commit", `{"ops":[{"append":{"stream":"/s","revision":"7","event":{"id":"2","source":"/s","specVersion":"1.0","type":"t"}}}]}`,
			event.CodeRevisionConflict, []string{"7", "1"}},
		"fields that only the server sets": {"Events/Commit", `{"waiter":"9","ops":[]}`,
			event.CodeInvalid, []string{"waiter"}},
		"no such position": {"Events/Get", `{"position":"99"}`, event.CodeNotFound, []string{"99"}},
		"not JSON":         {"Events/Commit", `{"ops":`, event.CodeInvalid, nil},
		"unknown member": {"Events/Commit", `{"opps":[]}`,
			event.CodeInvalid, []string{"opps"}},
		// Now is not what is meant by nothing.
		"a subscription without a start": {"Subscriptions/Create", `{"name":"s"}`, event.CodeInvalid, []string{"start"}},
		"ensured without a start":        {"Subscriptions/Create", `{"name":"s","ensure":true,"start":null}`, event.CodeInvalid, []string{"start"}},
		"an empty start":                 {"Subscriptions/Create", `{"name":"s","start":{}}`, event.CodeInvalid, []string{"start"}},
		"a seek to nowhere":              {"Subscriptions/Seek", `{"name":"s"}`, event.CodeInvalid, []string{"start"}},
		"a commit without a start":       {"Events/Commit", `{"ops":[{"createSubscription":{"name":"s"}}]}`, event.CodeInvalid, []string{"start"}},
	} {
		status, body := post(t, n, tc.procedure, tc.body)
		if status == http.StatusOK && !strings.Contains(body, `"error"`) {
			t.Errorf("%s: accepted: %s", name, body)
		}
		if status >= 500 {
			t.Errorf("%s: status %d", name, status)
		}
		for _, want := range append(tc.says, string(tc.code)) {
			if !strings.Contains(body, want) {
				t.Errorf("%s: no %q in: %s", name, want, body)
			}
		}
	}
	// Bytes that JSON cannot hold, over the binary form: an id that is not UTF-8,
	// and what is no protobuf at all.
	for name, tc := range map[string]struct {
		body []byte
		says string
	}{
		"not UTF-8":    {commitOf(&event.Event{ID: "\xff", Source: "s", Type: "t"}), `id \"\\xff\": is not UTF-8`},
		"not protobuf": {[]byte("\xff\xff\xff\xff"), ""},
	} {
		status, answer := postAs(t, n, "Events/Commit", "application/proto", tc.body)
		if status != http.StatusBadRequest || !strings.Contains(answer, string(event.CodeInvalid)) || !strings.Contains(answer, tc.says) {
			t.Errorf("%s: status %d, want %d and %q in: %s", name, status, http.StatusBadRequest, tc.says, answer)
		}
	}
	badCursorsAreRefused(t, n)
	unharmed(t, n, 1)
}

// commitOf is an edri.v1.Commit, as bytes, that appends a short event that the
// client would not send: ops (7) of append (1) of event (4).
func commitOf(e *event.Event) []byte {
	b := event.AppendEvent(nil, e)
	for _, field := range []byte{4, 1, 7} {
		b = append([]byte{field<<3 | 2, byte(len(b))}, b...)
	}
	return b
}

// badCursorsAreRefused reads with what is no cursor, and with that of another filter.
func badCursorsAreRefused(t *testing.T, n *cluster.Node) {
	t.Helper()
	c, err := client.New(client.Config{Servers: []string{n.URL()}})
	must(t, err)
	defer c.Close()
	ctx := within(t, 20*time.Second)
	read := func(q client.Query) (string, error) {
		r := c.OpenRead(ctx, q)
		defer r.Close()
		for r.Next() {
		}
		return r.Cursor(), r.Err()
	}
	of, err := read(client.Query{Type: "t"})
	must(t, err)
	for _, tc := range []struct {
		query client.Query
		says  string
	}{
		{client.Query{Cursor: "AQE-none"}, "AQE-none"},
		{client.Query{Type: "t", Cursor: of[:len(of)-1] + "!"}, of[:20]},
		{client.Query{Type: "other", Cursor: of}, "another filter"},
		{client.Query{Type: "t", Cursor: of, Reverse: true}, "direction"},
	} {
		if _, err := read(tc.query); event.CodeOf(err) != event.CodeInvalid || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("cursor %q: got %v, want invalid and %q", tc.query.Cursor, err, tc.says)
		}
	}
}

// unharmed checks that a node is ready and holds exactly so many events.
func unharmed(t *testing.T, n *cluster.Node, events uint64) {
	t.Helper()
	ctx := within(t, 20*time.Second)
	must(t, n.WaitReady(ctx))
	s, err := n.Status(ctx)
	must(t, err)
	if s.LastPosition != events {
		t.Errorf("the journal ends at %d, want %d", s.LastPosition, events)
	}
}

func TestCommandLineRefusesBadInputWithItsExitCodes(t *testing.T) {
	t.Parallel()
	c := start(t, 1)
	url := c.URLs()[0]
	appendArgs := func(more ...string) []string {
		return append([]string{"events", "append", "--type", "t", "--source", "/s", "--stream", "orders"}, more...)
	}
	if got := edri(t, url, nil, appendArgs("--id", "1", "--data", "first", "--expected", "0")...); got.code != 0 {
		t.Fatalf("a good append: exit code %d\n%s", got.code, got.stderr)
	}
	for name, tc := range map[string]struct {
		args []string
		code int
		says []string
	}{
		"wrong revision":         {appendArgs("--id", "2", "--expected", "5"), 4, []string{"revision_conflict", "5", "1"}},
		"stream exists":          {appendArgs("--id", "2", "--expected", "0"), 4, []string{"revision_conflict"}},
		"same id, other content": {appendArgs("--id", "1", "--data", "second"), 4, []string{"id_conflict"}},
		"expected is no number":  {appendArgs("--expected", "soon"), 2, []string{"soon"}},
		"type is missing":        {[]string{"events", "append", "--source", "/s"}, 2, []string{"type"}},
		"position is not there":  {[]string{"events", "get", "99"}, 3, []string{"99"}},
		"position is no number":  {[]string{"events", "get", "x"}, 2, []string{"x"}},
		"cursor is broken":       {[]string{"events", "query", "--cursor", "%%%"}, 1, []string{"cursor"}},
		"time is broken":         {[]string{"events", "query", "--since", "yesterdayish"}, 2, []string{"yesterdayish"}},
		"unknown command":        {[]string{"evnts"}, 2, []string{"evnts"}},
		"unknown output":         {[]string{"--output", "xml", "streams", "ls"}, 2, []string{"xml"}},
		"stream is not there":    {[]string{"streams", "show", "nothing"}, 3, []string{"nothing"}},
		"nobody listens":         {[]string{"--server", "http://127.0.0.1:1", "--timeout", "1s", "cluster", "status"}, 5, []string{"127.0.0.1:1"}},
	} {
		got := edri(t, url, nil, tc.args...)
		if got.code != tc.code {
			t.Errorf("%s: exit code %d, want %d\n%s%s", name, got.code, tc.code, got.stdout, got.stderr)
		}
		if got.stdout != "" {
			t.Errorf("%s: wrote on standard output: %s", name, got.stdout)
		}
		for _, want := range tc.says {
			if !strings.Contains(got.stderr, want) {
				t.Errorf("%s: no %q in: %s", name, want, got.stderr)
			}
		}
	}
	unharmed(t, c.Nodes()[0], 1)
}

func TestRepeatedAppendIsADuplicateAndASuccess(t *testing.T) {
	t.Parallel()
	c := start(t, 1)
	args := []string{"--output", "json", "events", "append", "--type", "t", "--source", "/s", "--id", "1", "--data", "same"}
	for i, want := range []string{`"duplicate":false`, `"duplicate":true`} {
		got := edri(t, c.URLs()[0], nil, args...)
		if compact := strings.ReplaceAll(got.stdout, " ", ""); got.code != 0 || !strings.Contains(compact, `"position":`) ||
			strings.Contains(compact, `"duplicate":true`) != strings.Contains(want, "true") {
			t.Errorf("run %d: exit code %d, want %s in: %s%s", i+1, got.code, want, got.stdout, got.stderr)
		}
	}
	unharmed(t, c.Nodes()[0], 1)
}

func TestEmptyCommitIsAnEmptySuccess(t *testing.T) {
	t.Parallel()
	c := start(t, 1)
	if status, body := post(t, c.Nodes()[0], "Events/Commit", `{}`); status != http.StatusOK || strings.Contains(body, "error") {
		t.Errorf("over HTTP: %d %s", status, body)
	}
	w, err := client.New(client.Config{Servers: c.URLs()})
	must(t, err)
	defer w.Close()
	if got, err := w.Commit(within(t, 20*time.Second)); err != nil || len(got.Results) != 0 {
		t.Errorf("by the client: %+v, %v", got, err)
	}
	unharmed(t, c.Nodes()[0], 0)
}

func TestReadAheadOfTheJournalWaitsToItsDeadline(t *testing.T) {
	t.Parallel()
	c := start(t, 1)
	w, err := client.New(client.Config{Servers: c.URLs()})
	must(t, err)
	defer w.Close()
	appendOne := func(id string) event.Position {
		done, err := w.Append(within(t, 20*time.Second), "s", event.ExpectAny, event.Event{ID: id, Source: "/s", Type: "t"})
		must(t, err)
		return done.Position
	}
	first := appendOne("1")

	const patience = 700 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	began := time.Now()
	err = readFrom(ctx, w, first+1)
	if code := event.CodeOf(err); code != event.CodeDeadlineExceeded || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v with code %q, want %q", err, code, event.CodeDeadlineExceeded)
	}
	if took := time.Since(began); took < patience {
		t.Errorf("gave up after %v, want %v", took, patience)
	}

	// A read that waits is served when the position comes.
	result := make(chan error, 1)
	waiting := within(t, 20*time.Second)
	go func() { result <- readFrom(waiting, w, first+1) }()
	appendOne("2")
	must(t, <-result)
}

func readFrom(ctx context.Context, c *client.Client, position event.Position) error {
	n := 0
	for _, err := range c.Read(ctx, client.Query{MinPosition: position}) {
		if err != nil {
			return err
		}
		n++
	}
	if n < int(position) {
		return fmt.Errorf("read %d events of %d", n, position)
	}
	return nil
}
