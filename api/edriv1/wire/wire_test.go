package wire

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
)

// same decodes b as the generated type and compares it with want.
func same(t *testing.T, b []byte, got, want proto.Message) {
	t.Helper()
	if err := proto.Unmarshal(b, got); err != nil {
		t.Fatalf("decode as %T: %v", got, err)
	}
	if !proto.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func marshal(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatalf("marshal: %v", err)
	}
	return b
}

func TestCommitsAreThoseOfTheSchema(t *testing.T) {
	t.Parallel()
	e := &edriv1.CloudEvent{Id: "1", Source: "/s", SpecVersion: "1.0", Type: "t"}
	var ops []byte
	ops = AppendAppendOp(ops, "s", -1, marshal(t, e))
	ops = AppendAppendOp(ops, "", -2, marshal(t, e))
	ops = AppendAppendOp(ops, "s", 0, marshal(t, e))
	ops = AppendAppendOp(ops, strings.Repeat("s", 200), 1<<40, marshal(t, e))
	ops = AppendOpenSessionOp(ops)
	ops = AppendOpenProducerOp(ops, "p")
	ops = AppendCloseSessionOp(ops)
	head := CommitHead{
		Epoch: []byte("0123456789abcdef"), Session: 1 << 63, FirstSequence: 2, Sequence: 1<<64 - 2, AckedThrough: 1, Each: true,
	}
	appendOp := func(a *edriv1.Append) *edriv1.Op { return &edriv1.Op{Op: &edriv1.Op_Append{Append: a}} }
	want := &edriv1.Commit{
		Epoch: head.Epoch, Session: head.Session, FirstSequence: 2, Sequence: head.Sequence, AckedThrough: 1, Each: true,
		Ops: []*edriv1.Op{
			appendOp(&edriv1.Append{Stream: "s", Event: e}),
			appendOp(&edriv1.Append{Expected: &edriv1.Append_Exists{Exists: true}, Event: e}),
			appendOp(&edriv1.Append{Stream: "s", Expected: &edriv1.Append_Revision{}, Event: e}),
			appendOp(&edriv1.Append{Stream: strings.Repeat("s", 200), Expected: &edriv1.Append_Revision{Revision: 1 << 40}, Event: e}),
			{Op: &edriv1.Op_OpenSession{OpenSession: &edriv1.OpenSession{}}},
			{Op: &edriv1.Op_OpenProducer{OpenProducer: &edriv1.OpenProducer{Name: "p"}}},
			{Op: &edriv1.Op_CloseSession{CloseSession: &edriv1.CloseSession{}}},
		},
	}
	b := AppendCommit(nil, &head, ops)
	same(t, b, &edriv1.Commit{}, want)
	if n := len(b) - len(ops); n > MaxCommitHead {
		t.Errorf("a head has %d bytes, more than MaxCommitHead", n)
	}
	session, sequence, err := CommitIdentity(b)
	if err != nil || session != head.Session || sequence != head.Sequence {
		t.Errorf("identity is %d, %d, %v", session, sequence, err)
	}

	frame := AppendFrameCommit(nil, &head, ops)
	frame = AppendFrameCommit(frame, &CommitHead{}, nil)
	same(t, frame, &edriv1.CommitFrame{}, &edriv1.CommitFrame{Commits: []*edriv1.Commit{want, {}}})
	commits, err := SplitCommits(nil, frame)
	if err != nil || len(commits) != 2 || !bytes.Equal(commits[0], b) || len(commits[1]) != 0 {
		t.Errorf("split into %q, %v", commits, err)
	}
}

func TestResultsAreThoseOfTheSchema(t *testing.T) {
	t.Parallel()
	failure := &edriv1.Error{Code: "revision_conflict", Message: "m", Expected: -1}
	want := &edriv1.CommitResult{
		Session: 1, Sequence: 2, Position: 3,
		Results: []*edriv1.OpResult{
			{Result: &edriv1.OpResult_Appended{Appended: &edriv1.Appended{Position: 4, Revision: 5, Duplicate: true}}},
			{Result: &edriv1.OpResult_SessionOpened{SessionOpened: &edriv1.SessionOpened{Session: 6}}},
			{Result: &edriv1.OpResult_ProducerOpened{ProducerOpened: &edriv1.ProducerOpened{Session: 7, LastSequence: 8}}},
			{Result: &edriv1.OpResult_Error{Error: failure}},
			{},
		},
		Error: &edriv1.Error{},
	}
	b := marshal(t, want)
	var got CommitResult
	if err := got.Decode(b); err != nil {
		t.Fatalf("decode: %v", err)
	}
	if got.Session != 1 || got.Sequence != 2 || got.Position != 3 || got.Open || got.Error == nil || len(got.Ops) != 5 {
		t.Errorf("got %+v", got)
	}
	if o := got.Ops[0]; o.Position != 4 || o.Revision != 5 || !o.Duplicate || o.Error != nil {
		t.Errorf("got appended %+v", o)
	}
	if o := got.Ops[1]; o.Session != 6 {
		t.Errorf("got session %+v", o)
	}
	if o := got.Ops[2]; o.Session != 7 || o.LastSequence != 8 {
		t.Errorf("got producer %+v", o)
	}
	same(t, got.Ops[3].Error, &edriv1.Error{}, failure)

	open := AppendOpenResult(nil, 1, 2, marshal(t, failure))
	same(t, open, &edriv1.CommitResult{}, &edriv1.CommitResult{Session: 1, Sequence: 2, Error: failure, Open: true})
	if err := got.Decode(open); err != nil || !got.Open || len(got.Ops) != 0 {
		t.Errorf("got %+v, %v: what was decoded before is left", got, err)
	}
	frame := AppendFrameResult(AppendFrameResult(nil, b), open)
	results, err := SplitResults(nil, frame)
	if err != nil || len(results) != 2 || !bytes.Equal(results[1], open) {
		t.Errorf("split into %q, %v", results, err)
	}
	if e, err := ResultError(b); err != nil || e == nil {
		t.Errorf("an empty error is %q, %v, want there", e, err)
	}
	if e, err := ResultError(marshal(t, &edriv1.CommitResult{Position: 1})); err != nil || e != nil {
		t.Errorf("no error is %q, %v", e, err)
	}
}

func TestRecordedEventsAreThoseOfTheSchema(t *testing.T) {
	t.Parallel()
	e := &edriv1.CloudEvent{Id: "1", Source: "/s", SpecVersion: "1.0", Type: "t"}
	want := &edriv1.RecordedEvent{Position: 1, Revision: 2, Stream: "s", Stamp: -3, Event: e}
	b := AppendRecorded(nil, 1, 2, "s", -3, marshal(t, e))
	same(t, b, &edriv1.RecordedEvent{}, want)
	var got Recorded
	if err := got.Decode(b); err != nil || got.Position != 1 || got.Revision != 2 || string(got.Stream) != "s" || got.Stamp != -3 {
		t.Errorf("got %+v, %v", got, err)
	}
	response := AppendResponseEvent(nil, 1, 2, []byte("s"), -3, marshal(t, e))
	response = AppendResponseEvent(response, 0, 0, "", 0, nil)
	response = AppendResponseCursor(response, "c")
	response = AppendResponseEnd(response, 300)
	same(t, response, &edriv1.ReadResponse{}, &edriv1.ReadResponse{
		Events: []*edriv1.RecordedEvent{want, {Event: &edriv1.CloudEvent{}}}, Cursor: "c", End: 300,
	})
	events, cursor, end, err := SplitResponse(nil, response)
	if err != nil || cursor != "c" || end != 300 || len(events) != 2 || !bytes.Equal(events[0], b) {
		t.Errorf("split into %q, %q, %v", events, cursor, err)
	}
}

func TestBinaryCodecCarriesBytes(t *testing.T) {
	t.Parallel()
	in := []byte("\x08\x01")
	var f Frame[edriv1.GetRequest]
	if err := (Binary{}).Unmarshal(in, &f); err != nil {
		t.Fatalf("unmarshal: %v", err)
	}
	in[1] = 9 // connect reuses its buffer
	if out, err := (Binary{}).MarshalAppend([]byte("x"), &f); err != nil || string(out) != "x\x08\x01" {
		t.Errorf("got %q, %v", out, err)
	}
	if m, err := f.Message(); err != nil || m.Position != 1 {
		t.Errorf("got %v, %v", m, err)
	}
	if _, err := (Binary{}).Marshal("text"); err == nil {
		t.Error("a string was marshalled")
	}
}

func TestJSONCodecConverts(t *testing.T) {
	t.Parallel()
	var f Frame[edriv1.GetRequest]
	if err := (JSON{}).Unmarshal([]byte(`{"position":"7"}`), &f); err != nil || f.Err != nil {
		t.Fatalf("unmarshal: %v, %v", err, f.Err)
	}
	if m, err := f.Message(); err != nil || m.Position != 7 {
		t.Errorf("got %v, %v", m, err)
	}
	if out, err := (JSON{}).Marshal(&f); err != nil || strings.ReplaceAll(string(out), " ", "") != `{"position":"7"}` {
		t.Errorf("got %s, %v", out, err)
	}
	for _, bad := range []string{``, `{`, `{"positon":"7"}`, `[]`, `{"position":"x"}`} {
		if err := (JSON{}).Unmarshal([]byte(bad), &f); err != nil || f.Err == nil {
			t.Errorf("%q: got %v in the frame, %v from the codec", bad, f.Err, err)
		}
		if _, err := f.Message(); err == nil {
			t.Errorf("%q became a message", bad)
		}
	}
}

func TestUnknownFieldsOfARequestAreRefused(t *testing.T) {
	t.Parallel()
	f := Frame[edriv1.GetRequest]{Bytes: []byte("\x08\x01\x98\x06\x01")}
	if m, err := f.Message(); err == nil {
		t.Errorf("got %v", m)
	}
}

// Whatever comes: no decoder panics, and what the generated code refuses as
// malformed is refused here too.
func FuzzDecoders(f *testing.F) {
	e := []byte("\x0a\x011")
	f.Add(AppendFrameCommit(nil, &CommitHead{Session: 1, Sequence: 2}, AppendAppendOp(nil, "s", 3, e)))
	f.Add(AppendFrameResult(nil, AppendOpenResult(nil, 1, 2, e)))
	f.Add(AppendResponseEnd(AppendResponseCursor(AppendResponseEvent(nil, 1, 2, "s", 3, e), "c"), 4))
	f.Add([]byte{0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		var result CommitResult
		var recorded Recorded
		commits, _ := SplitCommits(nil, b)
		for _, c := range commits {
			_, _, _ = CommitIdentity(c)
		}
		_, _ = ResultError(b)
		for name, decode := range map[string]func() error{
			"CommitResult":  func() error { return result.Decode(b) },
			"RecordedEvent": func() error { return recorded.Decode(b) },
			"ReadResponse":  func() error { _, _, _, err := SplitResponse(nil, b); return err },
		} {
			err := decode()
			if err != nil && !errors.Is(err, ErrMalformed) {
				t.Errorf("%s: got %v, want ErrMalformed", name, err)
			}
		}
		generated := &edriv1.RecordedEvent{}
		if proto.Unmarshal(b, generated) == nil {
			if err := recorded.Decode(b); err != nil {
				t.Errorf("the generated code takes what Decode refuses: %v", err)
			}
			if recorded.Position != generated.Position || recorded.Revision != generated.Revision ||
				string(recorded.Stream) != generated.Stream || recorded.Stamp != generated.Stamp {
				t.Errorf("got %+v, want %v", recorded, generated)
			}
		}
	})
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"ops":[{"append":{"event":{"id":"1"}}}]}`))
	f.Add([]byte(`{"session":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var frame Frame[edriv1.Commit]
		if err := (JSON{}).Unmarshal(b, &frame); err != nil {
			t.Fatalf("the codec failed: %v", err)
		}
		if frame.Err != nil {
			return
		}
		if _, err := (JSON{}).Marshal(&frame); err != nil {
			t.Errorf("what came as JSON does not go back: %v", err)
		}
	})
}
