package cron

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers/kv"
	"github.com/edri-io/edri/router"
	"github.com/edri-io/edri/timers"
)

// failer is what *testing.T and *rapid.T have in common.
type failer interface {
	Helper()
	Errorf(string, ...any)
	Fatalf(string, ...any)
}

var testEpoch = event.Epoch{1}

// shop is a core with the machine, and the cluster of one that its leader sees.
// Operations are built and results are read with the generated types: the hand-written
// codec is held to them by every test.
type shop struct {
	failer
	cfg       consensus.CoreConfig
	dir       string
	scheduler *Scheduler
	clock     func() int64

	mu     sync.Mutex
	core   *consensus.Core
	index  uint64
	refuse *event.Error // what the next advance is answered with
	calls  int          // of Enqueue
}

// epoch2026 is where the clocks of these tests begin.
var epoch2026 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newShop(t testing.TB, clock func() int64) *shop {
	t.Helper()
	s := openShop(t, t.TempDir(), clock)
	t.Cleanup(func() { _ = s.core.Close() })
	return s
}

func openShop(t failer, dir string, clock func() int64) *shop {
	t.Helper()
	table := timers.New()
	requests := router.NewMachine(table)
	keys := kv.New(table)
	scheduler := New(table, requests, keys, slog.New(slog.DiscardHandler))
	requests.Tell(scheduler)
	mux, err := consensus.NewMux(table, requests, keys, scheduler)
	if err != nil {
		t.Fatalf("mux: %v", err)
	}
	s := &shop{failer: t, dir: dir, scheduler: scheduler, clock: clock, cfg: consensus.CoreConfig{Machines: mux, InitialMmap: 1 << 24}}
	s.open()
	s.raw(consensus.LeadCommit("n1", testEpoch, 0))
	return s
}

// standing returns a clock that stands still until it is set.
func standing(now *int64) func() int64 { return func() int64 { return *now } }

func (s *shop) open() {
	s.Helper()
	core, err := consensus.OpenCore(s.dir, s.cfg)
	if err != nil {
		s.Fatalf("open core: %v", err)
	}
	s.core = core
}

// reopen flushes and opens the core again.
func (s *shop) reopen() {
	s.Helper()
	if f := s.core.Freeze(); f != nil {
		if err := f.Run(); err != nil {
			s.Fatalf("flush: %v", err)
		}
	}
	if err := s.core.Close(); err != nil {
		s.Fatalf("close core: %v", err)
	}
	s.open()
}

func (s *shop) raw(commit []byte) *edriv1.CommitResult {
	s.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.index++
	now := s.clock()
	entry := consensus.EncodeEntry(consensus.EntryHeader{Feature: 1, Epoch: testEpoch, Now: now, Stamp: now}, [][]byte{commit})
	outcomes, err := s.core.Apply(s.index, 1, entry)
	if err != nil {
		s.Fatalf("apply: %v", err)
	}
	s.core.Publish()
	s.core.Notify()
	r := &edriv1.CommitResult{}
	if err := proto.Unmarshal(outcomes[0].Result, r); err != nil {
		s.Fatalf("decode result: %v", err)
	}
	again, err := proto.MarshalOptions{Deterministic: true}.Marshal(r)
	if err != nil || string(again) != string(outcomes[0].Result) {
		s.Fatalf("result is %x, generated code writes %x", outcomes[0].Result, again)
	}
	return r
}

// do executes a commit of a client.
func (s *shop) do(ops ...*edriv1.Op) *edriv1.CommitResult {
	s.Helper()
	b, err := proto.Marshal(&edriv1.Commit{Ops: ops})
	if err != nil {
		s.Fatalf("encode: %v", err)
	}
	info, err := s.cfg.Machines.CheckCommit(b, event.DefaultLimits())
	if err != nil {
		s.Fatalf("check commit: %v", err)
	}
	return s.raw(consensus.SealCommit(nil, b, info, 0))
}

// must is do for one operation that holds.
func (s *shop) must(op *edriv1.Op) *edriv1.OpResult {
	s.Helper()
	r := s.do(op)
	if r.Error != nil {
		s.Fatalf("%v: %v", op, r.Error)
	}
	return r.Results[0]
}

// code is do for one operation, of which it returns the error's code.
func (s *shop) code(op *edriv1.Op) string {
	s.Helper()
	return s.do(op).GetError().GetCode()
}

// lead executes an operation of the leader.
func (s *shop) lead(list ...advance) {
	s.Helper()
	if r := s.raw(internal(opAdvance, encodeAdvances(list))); r.Error != nil {
		s.Fatalf("advance: %v", r.Error)
	}
}

// ring fires timers that are due.
func (s *shop) ring() {
	s.Helper()
	s.raw(internal(16, []byte{8, 100}))
}

func internal(op uint32, body []byte) []byte {
	o := protowire.AppendBytes(protowire.AppendTag(nil, protowire.Number(op), protowire.BytesType), body)
	c := protowire.AppendBytes(protowire.AppendTag(nil, 7, protowire.BytesType), o)
	return consensus.SealCommit(nil, c, consensus.CommitInfo{}, 0)
}

// Now, View and Enqueue make the shop a Node.
func (s *shop) Now() int64 { return s.clock() }

func (s *shop) View() *consensus.View { return s.core.View() }

func (s *shop) Enqueue(op uint32, body []byte, done func(*event.Error)) {
	s.mu.Lock()
	s.calls++
	refuse := s.refuse
	s.refuse = nil
	s.mu.Unlock()
	if refuse == nil {
		s.raw(internal(op, body))
	}
	done(refuse)
}

// run runs the leader's loop for the length of f.
func (s *shop) run(f func()) {
	s.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.scheduler.Lead(ctx, s) }()
	f()
	cancel()
	if err := <-ended; err != nil {
		s.Errorf("lead: %v", err)
	}
}

// of returns how a schedule is.
func (s *shop) of(name string) Schedule {
	s.Helper()
	v := s.core.View()
	defer v.Close()
	got, err := ScheduleOf(v, name)
	if err != nil {
		s.Fatalf("schedule %q: %v", name, err)
	}
	return got
}

// history returns the events of a stream in short: of a fire its time, of what edri
// tells its type and what of it matters.
func (s *shop) history(stream string) []string {
	s.Helper()
	v := s.core.View()
	defer v.Close()
	var list []string
	for p := event.Position(1); p <= v.Mark.Last; p++ {
		r, err := v.Journal().Get(p)
		if err != nil {
			s.Fatalf("read position %d: %v", p, err)
		}
		if string(r.Stream) != stream {
			continue
		}
		e, err := event.DecodeEvent(r.Event)
		if err != nil {
			s.Fatalf("decode position %d: %v", p, err)
		}
		list = append(list, brief(&e))
	}
	return list
}

func brief(e *event.Event) string {
	if !strings.HasPrefix(e.Type, "edri.") {
		return clock(e.Time)
	}
	var d told
	if err := json.Unmarshal(e.Data, &d); err != nil {
		return err.Error()
	}
	kind := e.Type[strings.LastIndexByte(e.Type, '.')+1:]
	if d.Count > 0 {
		return fmt.Sprintf("%s %d %s-%s", kind, d.Count, clock(mustTime(d.From)), clock(mustTime(d.To)))
	}
	return fmt.Sprintf("%s %s %s", kind, clock(mustTime(d.Nominal)), d.Reason)
}

func clock(t time.Time) string {
	if d := t.Sub(epoch2026).Truncate(24 * time.Hour); d != 0 {
		return t.Format("2006-01-02T15:04:05")
	}
	return t.Format("15:04:05")
}

func mustTime(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return t
}

// appendTo is an action that appends an event to a stream.
func appendTo(stream string) *edriv1.ScheduleAction {
	return &edriv1.ScheduleAction{Action: &edriv1.ScheduleAction_Append{Append: &edriv1.AppendAction{
		Stream: stream, Event: &edriv1.CloudEvent{SpecVersion: "1.0", Type: "tick"},
	}}}
}

// ask is an action that sends a request.
func ask(stream string, timeout time.Duration) *edriv1.ScheduleAction {
	return &edriv1.ScheduleAction{Action: &edriv1.ScheduleAction_Request{Request: &edriv1.RequestAction{
		Stream: stream, Event: &edriv1.CloudEvent{SpecVersion: "1.0", Type: "tick"}, Timeout: int64(timeout),
	}}}
}

// transact is an action that changes keys.
func transact(t *edriv1.KeyTransaction) *edriv1.ScheduleAction {
	return &edriv1.ScheduleAction{Action: &edriv1.ScheduleAction_Keys{Keys: t}}
}

// putKey is a part of a transaction.
func putKey(bucket, key, value string) *edriv1.KeyOp {
	return &edriv1.KeyOp{Op: &edriv1.KeyOp_Put{Put: &edriv1.PutKey{Bucket: bucket, Key: key, Value: []byte(value)}}}
}

func every(d time.Duration) *edriv1.ScheduleSpec {
	return &edriv1.ScheduleSpec{Every: int64(d), Action: appendTo("ticks")}
}

func create(name string, spec *edriv1.ScheduleSpec) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_CreateSchedule{CreateSchedule: &edriv1.CreateSchedule{Name: name, Spec: spec}}}
}

func update(name string, spec *edriv1.ScheduleSpec) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_UpdateSchedule{UpdateSchedule: &edriv1.UpdateSchedule{Name: name, Spec: spec}}}
}

func remove(name string) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_DeleteSchedule{DeleteSchedule: &edriv1.DeleteSchedule{Name: name}}}
}

func pauseOf(name string, paused bool, note string) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_PauseSchedule{PauseSchedule: &edriv1.PauseSchedule{Name: name, Paused: paused, Note: note}}}
}

func trigger(name string) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_TriggerSchedule{TriggerSchedule: &edriv1.TriggerSchedule{Name: name}}}
}

func backfill(name string, from, to time.Time) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_BackfillSchedule{BackfillSchedule: &edriv1.BackfillSchedule{Name: name, From: from.UnixNano(), To: to.UnixNano()}}}
}

func later1(id string, at time.Time) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_AppendLater{AppendLater: &edriv1.AppendLater{
		Stream: "ticks", At: at.UnixNano(),
		Event: &edriv1.CloudEvent{SpecVersion: "1.0", Id: id, Source: "tests", Type: "later"},
	}}}
}

func cancelLater(id string) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_CancelLater{CancelLater: &edriv1.CancelLater{Source: "tests", Id: id}}}
}

func respond(position event.Position) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_Respond{Respond: &edriv1.Respond{
		Request: uint64(position), Stream: "answers",
		Event: &edriv1.CloudEvent{
			Id: fmt.Sprint("answer ", position), Source: "tests", SpecVersion: "1.0", Type: "answer",
			Attributes: map[string]*edriv1.CloudEvent_CloudEventAttributeValue{
				event.AttrKind: {Attr: &edriv1.CloudEvent_CloudEventAttributeValue_CeString{CeString: event.KindResponse}},
			},
		},
	}}}
}
