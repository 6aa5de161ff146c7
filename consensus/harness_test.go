package consensus_test

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

var epoch = event.Epoch{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}

// harness is a core with the log of the entries that it was fed. Commits are
// built and results are read with the generated types: the hand-written codec
// is held to them by every test.
type harness struct {
	testing.TB
	core  *consensus.Core
	cfg   consensus.CoreConfig
	dir   string
	log   [][]byte // entry i has index i+1; nil: a configuration
	stamp int64
}

// newHarness returns a core whose first leader has begun.
func newHarness(t testing.TB, machines ...consensus.StateMachine) *harness {
	t.Helper()
	mux, err := consensus.NewMux(machines...)
	if err != nil {
		t.Fatal(err)
	}
	h := &harness{TB: t, cfg: consensus.CoreConfig{Machines: mux, InitialMmap: 1 << 24}, dir: t.TempDir()}
	h.open()
	t.Cleanup(func() { _ = h.core.Close() })
	h.raw(consensus.LeadCommit("n1", epoch, 0))
	return h
}

func (h *harness) open() {
	h.Helper()
	core, err := consensus.OpenCore(h.dir, h.cfg)
	if err != nil {
		h.Fatalf("open core: %v", err)
	}
	h.core = core
}

// reopen closes the core and opens it again, after a flush or without one, and
// replays what was not durable.
func (h *harness) reopen(flush bool) {
	h.Helper()
	if flush {
		h.flush()
	}
	if err := h.core.Close(); err != nil {
		h.Fatalf("close core: %v", err)
	}
	h.open()
	index, _ := h.core.AppliedIndex()
	for ; index < uint64(len(h.log)); index++ {
		if _, err := h.core.Apply(index+1, 1, h.log[index]); err != nil {
			h.Fatalf("replay entry %d: %v", index+1, err)
		}
	}
	h.core.Publish()
}

func (h *harness) flush() {
	h.Helper()
	if f := h.core.Freeze(); f != nil {
		if err := f.Run(); err != nil {
			h.Fatalf("flush: %v", err)
		}
	}
}

// raw applies and publishes one entry of sealed commits.
func (h *harness) raw(commits ...[]byte) []consensus.Outcome {
	h.Helper()
	outcomes, err := h.try(commits...)
	if err != nil {
		h.Fatalf("apply: %v", err)
	}
	h.core.Publish()
	return outcomes
}

func (h *harness) try(commits ...[]byte) ([]consensus.Outcome, error) {
	h.stamp++
	header := consensus.EntryHeader{Feature: consensus.FeatureLevel, Epoch: epoch, Now: h.stamp, Stamp: h.stamp}
	h.log = append(h.log, consensus.EncodeEntry(header, commits))
	return h.core.Apply(uint64(len(h.log)), 1, h.log[len(h.log)-1])
}

// seal checks and seals a commit.
func (h *harness) seal(c *edriv1.Commit) []byte {
	h.Helper()
	b, err := proto.Marshal(c)
	if err != nil {
		h.Fatal(err)
	}
	info, err := h.cfg.Machines.CheckCommit(b, event.DefaultLimits())
	if err != nil {
		h.Fatalf("check commit: %v", err)
	}
	return consensus.SealCommit(nil, b, info, 7)
}

// apply applies and publishes one entry of commits and returns their results.
func (h *harness) apply(commits ...*edriv1.Commit) []*edriv1.CommitResult {
	h.Helper()
	sealed := make([][]byte, len(commits))
	for i, c := range commits {
		sealed[i] = h.seal(c)
	}
	outcomes := h.raw(sealed...)
	results := make([]*edriv1.CommitResult, len(outcomes))
	for i, o := range outcomes {
		if o.Waiter != 7 || o.Session != commits[i].Session || o.Sequence != commits[i].Sequence {
			h.Fatalf("outcome %d is of waiter %d, session %d, sequence %d", i, o.Waiter, o.Session, o.Sequence)
		}
		results[i] = h.decode(o.Result)
	}
	return results
}

// one applies one commit.
func (h *harness) one(c *edriv1.Commit) *edriv1.CommitResult {
	h.Helper()
	return h.apply(c)[0]
}

func (h *harness) decode(b []byte) *edriv1.CommitResult {
	h.Helper()
	var r edriv1.CommitResult
	if err := proto.Unmarshal(b, &r); err != nil {
		h.Fatalf("decode result %x: %v", b, err)
	}
	if len(r.ProtoReflect().GetUnknown()) > 0 {
		h.Fatalf("result %x has unknown fields", b)
	}
	again, err := proto.MarshalOptions{Deterministic: true}.Marshal(&r)
	if err != nil || string(again) != string(b) {
		h.Fatalf("result is %x, generated code writes %x", b, again)
	}
	return &r
}

func (h *harness) openSession() uint64 {
	h.Helper()
	r := h.one(&edriv1.Commit{Ops: []*edriv1.Op{{Op: &edriv1.Op_OpenSession{OpenSession: &edriv1.OpenSession{}}}}})
	return r.Results[0].GetSessionOpened().GetSession()
}

func (h *harness) openProducer(name string) *edriv1.ProducerOpened {
	h.Helper()
	r := h.one(&edriv1.Commit{Ops: []*edriv1.Op{{Op: &edriv1.Op_OpenProducer{OpenProducer: &edriv1.OpenProducer{Name: name}}}}})
	return r.Results[0].GetProducerOpened()
}

func (h *harness) closeSession(session, sequence uint64) *edriv1.CommitResult {
	h.Helper()
	return h.one(&edriv1.Commit{Session: session, Sequence: sequence,
		Ops: []*edriv1.Op{{Op: &edriv1.Op_CloseSession{CloseSession: &edriv1.CloseSession{}}}}})
}

// add is an append of event id to a stream, with any expectation.
func add(stream, id string) *edriv1.Op {
	return addContent(stream, id, "content of "+id)
}

func addContent(stream, id, content string) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_Append{Append: &edriv1.Append{
		Stream: stream,
		Event: &edriv1.CloudEvent{
			Id: id, Source: "tests", SpecVersion: "1.0", Type: "test",
			Data: &edriv1.CloudEvent_BinaryData{BinaryData: []byte(content)},
		},
	}}}
}

// at makes an append expect a revision.
func at(revision uint64, o *edriv1.Op) *edriv1.Op {
	o.GetAppend().Expected = &edriv1.Append_Revision{Revision: revision}
	return o
}

func exists(o *edriv1.Op) *edriv1.Op {
	o.GetAppend().Expected = &edriv1.Append_Exists{Exists: true}
	return o
}

// in gives a commit of operations a place in a session.
func in(session, sequence uint64, ops ...*edriv1.Op) *edriv1.Commit {
	return &edriv1.Commit{Session: session, Sequence: sequence, Ops: ops}
}

func alone(ops ...*edriv1.Op) *edriv1.Commit { return &edriv1.Commit{Ops: ops} }

func each(c *edriv1.Commit) *edriv1.Commit {
	c.Each = true
	return c
}

// brief renders a result for comparison: "2: 1@1 2@2 dup 1", "error code".
func brief(r *edriv1.CommitResult) string {
	if r.Error != nil {
		return "error " + briefError(r.Error)
	}
	s := fmt.Sprint(r.Position, ":")
	for _, o := range r.Results {
		switch v := o.Result.(type) {
		case *edriv1.OpResult_Appended:
			if v.Appended.Duplicate {
				s += fmt.Sprint(" dup ", v.Appended.Position)
			} else {
				s += fmt.Sprint(" ", v.Appended.Position, "@", v.Appended.Revision)
			}
		case *edriv1.OpResult_SessionOpened:
			s += fmt.Sprint(" session ", v.SessionOpened.Session)
		case *edriv1.OpResult_ProducerOpened:
			s += fmt.Sprint(" producer ", v.ProducerOpened.Session, " at ", v.ProducerOpened.LastSequence)
		case *edriv1.OpResult_Error:
			s += " (" + briefError(v.Error) + ")"
		default:
			s += " ok"
		}
	}
	return s
}

func briefError(e *edriv1.Error) string {
	s := e.Code
	switch event.Code(e.Code) {
	case event.CodeRevisionConflict:
		s += fmt.Sprintf(" %s expected %d actual %d", e.Stream, e.Expected, e.Actual)
	case event.CodeIDConflict:
		s += fmt.Sprint(" at ", e.Position)
	}
	for _, v := range e.Violations {
		s += fmt.Sprintf("; %d %s", v.Op, briefError(v.Error))
	}
	return s
}
