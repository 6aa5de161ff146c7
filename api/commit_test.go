package api

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/edriv1connect"
	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

// http2Client speaks HTTP/2 without TLS, as bidirectional streams need.
func http2Client(t *testing.T) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

const jsonType = "application/json"

func jsonHeader() map[string]string { return map[string]string{"Content-Type": jsonType} }

func commitJSON(id, more string) string {
	return `{"ops":[{"append":{` + more + `"event":{"specVersion":"1.0","id":"` + id + `","source":"/curl","type":"greeted","textData":"hello"}}}]}`
}

func TestCommitWithPlainJSON(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	for _, contentType := range []string{jsonType, jsonType + "; charset=utf-8"} {
		response, body := f.do("POST", edriv1connect.EventsCommitProcedure, map[string]string{"Content-Type": contentType}, commitJSON("c-1", ""))
		if response.StatusCode != http.StatusOK || !strings.Contains(body, `"position"`) {
			t.Fatalf("got %d %s", response.StatusCode, body)
		}
	}
	response, body := f.do("POST", edriv1connect.EventsGetProcedure, jsonHeader(), `{"position":"1"}`)
	if response.StatusCode != http.StatusOK || !strings.Contains(body, `"c-1"`) {
		t.Errorf("got %d %s", response.StatusCode, body)
	}
}

func TestEveryRPCErrorIsTypedOverJSON(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	f.do("POST", edriv1connect.EventsCommitProcedure, jsonHeader(), commitJSON("1", `"stream":"s",`))
	for name, tc := range map[string]struct {
		procedure, body string
		status          int
		says            []string
	}{
		"conflict":          {edriv1connect.EventsCommitProcedure, commitJSON("2", `"stream":"s","revision":"7",`), 409, []string{"revision_conflict", "7"}},
		"not JSON":          {edriv1connect.EventsCommitProcedure, `{"ops":`, 400, []string{"invalid"}},
		"unknown member":    {edriv1connect.EventsCommitProcedure, commitJSON("2", `"expectd":"7",`), 400, []string{"invalid", "expectd"}},
		"server's field":    {edriv1connect.EventsCommitProcedure, `{"waiter":"9"}`, 400, []string{"invalid", "waiter"}},
		"not there":         {edriv1connect.EventsGetProcedure, `{"position":"99"}`, 404, []string{"not_found", "99"}},
		"position 0":        {edriv1connect.EventsGetProcedure, `{}`, 400, []string{"invalid"}},
		"consistency":       {edriv1connect.EventsGetProcedure, `{"position":"1","consistency":9}`, 400, []string{"invalid", "9"}},
		"too many streams":  {edriv1connect.EventsListStreamsProcedure, `{"limit":10001}`, 400, []string{"invalid", "10001", "10000"}},
		"long prefix":       {edriv1connect.EventsListStreamsProcedure, `{"prefix":"` + strings.Repeat("p", 256) + `"}`, 400, []string{"too_large", "256", "255"}},
		"too large to read": {edriv1connect.EventsCommitProcedure, strings.Repeat(" ", 9<<20), 400, []string{"too_large", fmt.Sprint(9 << 20), fmt.Sprint(8<<20 + 64<<10)}},
	} {
		response, body := f.do("POST", tc.procedure, jsonHeader(), tc.body)
		if response.StatusCode != tc.status && !(tc.status == 409 && response.StatusCode == http.StatusConflict) {
			t.Errorf("%s: got status %d, want %d: %s", name, response.StatusCode, tc.status, body)
		}
		for _, want := range append(tc.says, "edri.v1.Error") {
			if !strings.Contains(body, want) {
				t.Errorf("%s: no %q in %s", name, want, body)
			}
		}
	}
	if last := f.node.core.Meta().Mark.Last; last != 1 {
		t.Errorf("the journal ends at %d, want 1", last)
	}
}

// Each code comes out of the client as it went into the handler, with its fields.
func TestErrorsKeepTheirFieldsOverTheWire(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	for _, code := range event.Codes() {
		if _, ok := statuses[code]; !ok {
			t.Errorf("code %s has no status", code)
		}
		switch code {
		case event.CodeInternal, event.CodeOverloaded, event.CodeNotLeader, event.CodeUnavailable,
			event.CodeDeadlineExceeded, event.CodeSessionExpired, event.CodeEpochChanged, event.CodeOutcomeUnknown:
			continue // the client retries these, or says more of them
		}
		want := &event.Error{
			Code: code, Message: "m", Stream: "s", Expected: -2, Actual: 3, Position: 4, Size: 5, Max: 6, First: 7,
			Violations: []event.Violation{{Op: 1, Err: event.Errorf(event.CodeExists, "v")}},
		}
		f.node.with(func() {
			f.node.refuse = func(commit []byte) *event.Error {
				if strings.Contains(string(commit), "refused") {
					return want
				}
				return nil
			}
		})
		_, err := f.client.Append(testContext(t), "s", event.ExpectAny, testEvent("refused"))
		got := wantCode(t, err, code)
		if got.Error() != want.Error() || got.Expected != -2 || got.Actual != 3 || got.Position != 4 ||
			got.Size != 5 || got.Max != 6 || got.First != 7 || got.Stream != "s" || len(got.Violations) != 1 {
			t.Errorf("%s: got %+v", code, got)
		}
	}
}

func TestInternalErrorsStayInTheLog(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	e := f.service.failures.public(t.Context(), errors.New("secret detail"))
	if e.Code != event.CodeInternal || strings.Contains(e.Message, "secret") {
		t.Errorf("got %v", e)
	}
	_, reference, _ := strings.Cut(e.Message, "reference ")
	reference, _, _ = strings.Cut(reference, " ")
	if logged := f.logged.String(); !strings.Contains(logged, "secret detail") || !strings.Contains(logged, reference) {
		t.Errorf("logged %q, without %q", logged, reference)
	}
}

func TestCommitStreamAnswersEveryCommit(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	var callers sync.WaitGroup
	for k := range 300 {
		callers.Go(func() {
			if _, err := f.client.Append(testContext(t), "s", event.ExpectAny, testEvent(fmt.Sprint(k))); err != nil {
				t.Errorf("append: %v", err)
			}
		})
	}
	callers.Wait()
	if last := f.node.core.Meta().Mark.Last; last != 300 {
		t.Errorf("the journal ends at %d, want 300", last)
	}
}

// rawStream opens a CommitStream without the client.
func rawStream(t *testing.T, f *fixture) *connect.BidiStreamForClient[commitsFrame, resultsFrame] {
	t.Helper()
	c := connect.NewClient[commitsFrame, resultsFrame](http2Client(t), f.url+edriv1connect.EventsCommitStreamProcedure,
		connect.WithCodec(wire.Binary{}))
	s := c.CallBidiStream(testContext(t))
	t.Cleanup(func() {
		_ = s.CloseRequest()
		_ = s.CloseResponse()
	})
	return s
}

func (f *fixture) openSession() uint64 {
	f.t.Helper()
	commit := wire.AppendCommit(nil, &wire.CommitHead{}, wire.AppendOpenSessionOp(nil))
	result, err := f.service.execute(testContext(f.t), commit)
	if err != nil {
		f.t.Fatalf("open session: %v", err)
	}
	var decoded wire.CommitResult
	if err := decoded.Decode(result); err != nil {
		f.t.Fatalf("decode: %v", err)
	}
	return decoded.Ops[0].Session
}

func TestCommitStreamRefusesWhatHasNoSession(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	for _, frame := range [][]byte{
		wire.AppendFrameCommit(nil, &wire.CommitHead{}, nil),
		wire.AppendFrameCommit(nil, &wire.CommitHead{Session: 1}, nil),
		[]byte("\xff\xff"),
	} {
		s := rawStream(t, f)
		if err := s.Send(&commitsFrame{Bytes: frame}); err != nil {
			t.Fatalf("send: %v", err)
		}
		if _, err := s.Receive(); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%q: got %v, want invalid_argument", frame, err)
		}
	}
}

func TestRefusedCommitsAreOpenResults(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	session := f.openSession()
	s := rawStream(t, f)
	frame := wire.AppendFrameCommit(nil, &wire.CommitHead{Session: session, Sequence: 1, Epoch: []byte("short")}, nil)
	frame = wire.AppendFrameCommit(frame, &wire.CommitHead{Session: session, Sequence: 2}, nil)
	if err := s.Send(&commitsFrame{Bytes: frame}); err != nil {
		t.Fatalf("send: %v", err)
	}
	if err := s.CloseRequest(); err != nil {
		t.Fatalf("close request: %v", err)
	}
	got := map[uint64]*edriv1.CommitResult{}
	for {
		answer, err := s.Receive()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("receive: %v", err)
		}
		decoded := &edriv1.CommitResultFrame{}
		if err := proto.Unmarshal(answer.Bytes, decoded); err != nil {
			t.Fatalf("decode: %v", err)
		}
		for _, r := range decoded.Results {
			got[r.Sequence] = r
		}
	}
	if r := got[1]; r == nil || !r.Open || r.Error.GetCode() != string(event.CodeInvalid) || r.Session != session {
		t.Errorf("the refused commit got %v", r)
	}
	if r := got[2]; r == nil || r.Open || r.Error.GetCode() != string(event.CodeUnavailable) {
		t.Errorf("the commit behind it got %v", r)
	}
}

// A stream whose results do not come is not read without bound.
func TestCommitStreamPushesBack(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	session := f.openSession()
	hold := make(chan struct{})
	f.node.with(func() { f.node.hold = hold; f.node.held = 0 })
	s := rawStream(t, f)
	const frames, size = 40, 100
	sent := make(chan error, 1)
	go func() {
		for i := range uint64(frames) {
			var frame []byte
			for j := range uint64(size) {
				frame = wire.AppendFrameCommit(frame, &wire.CommitHead{Session: session, Sequence: i*size + j + 1}, nil)
			}
			if err := s.Send(&commitsFrame{Bytes: frame}); err != nil {
				sent <- err
				return
			}
		}
		sent <- s.CloseRequest()
	}()
	held := func() (n int) {
		f.node.with(func() { n = f.node.held })
		return n
	}
	eventually(t, "as many commits are read as the bound allows", func() bool { return held() >= maxStreamCommits })
	if n := held(); n >= maxStreamCommits+2*size {
		t.Errorf("%d commits were read without a result, want about %d", n, maxStreamCommits)
	}
	f.node.with(func() { f.node.hold = nil })
	close(hold)
	results := 0
	for {
		answer, err := s.Receive()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("receive: %v", err)
		}
		list, err := wire.SplitResults(nil, answer.Bytes)
		if err != nil {
			t.Fatalf("split: %v", err)
		}
		results += len(list)
	}
	if err := <-sent; err != nil {
		t.Fatalf("send: %v", err)
	}
	if results != frames*size {
		t.Errorf("got %d results, want %d", results, frames*size)
	}
}

func TestAMultiOpCommitTellsEveryViolation(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	f.fill(1)
	_, err := f.client.Commit(testContext(t),
		client.AppendOp("s", 9, testEvent("a")),
		client.AppendOp("t", 0, testEvent("b")),
		client.AppendOp("u", event.ExpectExists, testEvent("c")))
	e := wantCode(t, err, event.CodeCheckFailed)
	if len(e.Violations) != 2 || e.Violations[0].Op != 0 || e.Violations[1].Op != 2 {
		t.Errorf("got violations %+v", e.Violations)
	}
	if last := f.node.core.Meta().Mark.Last; last != 1 {
		t.Errorf("the journal ends at %d, want 1", last)
	}
}
