package router

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/timers"
)

// witness is a machine that keeps what it notes, and tells who else is to know.
type witness struct {
	*Machine
	notes []any
	also  consensus.Observer
}

var _ consensus.Observer = (*witness)(nil)

func (w *witness) Observe(index uint64, notes []any) {
	if w.also != nil {
		w.also.Observe(index, notes)
		return
	}
	w.notes = append(w.notes, notes...)
}

// hall is a core with the machine and its timers. Operations are built and results are
// read with the generated types: the hand-written codec is held to them by every test.
type hall struct {
	failer
	core    *consensus.Core
	witness *witness
	cfg     consensus.CoreConfig
	dir     string
	index   uint64
	term    uint64
	now     int64
	events  int // that were appended by publish
}

// failer is what *testing.T and *rapid.T have in common.
type failer interface {
	Helper()
	Errorf(string, ...any)
	Fatalf(string, ...any)
}

var testEpoch = event.Epoch{1}

func newHall(t testing.TB) *hall {
	t.Helper()
	h := openHall(t, t.TempDir())
	t.Cleanup(func() { _ = h.core.Close() })
	return h
}

func openHall(t failer, dir string) *hall {
	t.Helper()
	table := timers.New()
	w := &witness{Machine: NewMachine(table)}
	mux, err := consensus.NewMux(table, w)
	if err != nil {
		t.Fatalf("mux: %v", err)
	}
	h := &hall{failer: t, witness: w, dir: dir, term: 1, now: 1000, cfg: consensus.CoreConfig{Machines: mux, InitialMmap: 1 << 24}}
	h.open()
	h.raw(consensus.LeadCommit("n1", testEpoch, 0))
	return h
}

func (h *hall) open() {
	h.Helper()
	core, err := consensus.OpenCore(h.dir, h.cfg)
	if err != nil {
		h.Fatalf("open core: %v", err)
	}
	h.core = core
}

// reopen flushes and opens the core again.
func (h *hall) reopen() {
	h.Helper()
	if f := h.core.Freeze(); f != nil {
		if err := f.Run(); err != nil {
			h.Fatalf("flush: %v", err)
		}
	}
	if err := h.core.Close(); err != nil {
		h.Fatalf("close core: %v", err)
	}
	h.open()
}

func (h *hall) raw(commit []byte) *edriv1.CommitResult {
	h.Helper()
	r, err := h.try(commit)
	if err != nil {
		h.Fatalf("apply: %v", err)
	}
	return r
}

func (h *hall) try(commit []byte) (*edriv1.CommitResult, error) {
	h.Helper()
	results, err := h.entry([][]byte{commit})
	if err != nil {
		return nil, err
	}
	return results[0], nil
}

// entry executes commits as one entry.
func (h *hall) entry(commits [][]byte) ([]*edriv1.CommitResult, error) {
	h.Helper()
	h.index++
	entry := consensus.EncodeEntry(consensus.EntryHeader{Feature: 1, Epoch: testEpoch, Now: h.now, Stamp: h.now}, commits)
	outcomes, err := h.core.Apply(h.index, h.term, entry)
	if err != nil {
		return nil, err
	}
	h.core.Publish()
	h.core.Notify()
	results := make([]*edriv1.CommitResult, len(outcomes))
	for i, o := range outcomes {
		r := &edriv1.CommitResult{}
		if err := proto.Unmarshal(o.Result, r); err != nil {
			h.Fatalf("decode result: %v", err)
		}
		again, err := proto.MarshalOptions{Deterministic: true}.Marshal(r)
		if err != nil || string(again) != string(o.Result) {
			h.Fatalf("result is %x, generated code writes %x", o.Result, again)
		}
		results[i] = r
	}
	return results, nil
}

// do executes a commit of a client.
func (h *hall) do(ops ...*edriv1.Op) *edriv1.CommitResult {
	h.Helper()
	return h.raw(h.seal(ops...))
}

// seal makes a client's commit one that may be executed.
func (h *hall) seal(ops ...*edriv1.Op) []byte {
	h.Helper()
	b, err := proto.Marshal(&edriv1.Commit{Ops: ops})
	if err != nil {
		h.Fatalf("encode: %v", err)
	}
	info, err := h.cfg.Machines.CheckCommit(b, event.DefaultLimits())
	if err != nil {
		h.Fatalf("check commit: %v", err)
	}
	return consensus.SealCommit(nil, b, info, 0)
}

// must is do for one operation that holds.
func (h *hall) must(op *edriv1.Op) *edriv1.OpResult {
	h.Helper()
	r := h.do(op)
	if r.Error != nil {
		h.Fatalf("%v: %v", op, r.Error)
	}
	return r.Results[0]
}

// lead executes an operation of the leader.
func (h *hall) lead(op uint32, body []byte) {
	h.Helper()
	if r := h.raw(internal(op, body)); r.Error != nil {
		h.Fatalf("operation %d: %v", op, r.Error)
	}
}

func internal(op uint32, body []byte) []byte {
	o := protowire.AppendBytes(protowire.AppendTag(nil, protowire.Number(op), protowire.BytesType), body)
	c := protowire.AppendBytes(protowire.AppendTag(nil, 7, protowire.BytesType), o)
	return consensus.SealCommit(nil, c, consensus.CommitInfo{}, 0)
}

// pass lets time go by and fires what is due.
func (h *hall) pass(d time.Duration) {
	h.Helper()
	h.now += int64(d)
	for range 3 { // what is set while firing fires in the next entry
		h.lead(16, []byte{8, 100})
	}
}

// publish appends so many events.
func (h *hall) publish(n int) {
	h.Helper()
	for range n {
		h.events++
		h.must(add(fmt.Sprint("event ", h.events)))
	}
}

func add(id string) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_Append{Append: &edriv1.Append{Event: wireEvent(id, "")}}}
}

func wireEvent(id, kind string) *edriv1.CloudEvent {
	e := &edriv1.CloudEvent{Id: id, Source: "tests", SpecVersion: "1.0", Type: "test"}
	if kind != "" {
		e.Attributes = map[string]*edriv1.CloudEvent_CloudEventAttributeValue{
			event.AttrKind: {Attr: &edriv1.CloudEvent_CloudEventAttributeValue_CeString{CeString: kind}},
		}
	}
	return e
}

// create creates a subscription; without a start it begins now.
func create(name string, config *edriv1.SubscriptionConfig, start *edriv1.Start) *edriv1.Op {
	start = cmp.Or(start, atNow())
	return &edriv1.Op{Op: &edriv1.Op_CreateSubscription{CreateSubscription: &edriv1.CreateSubscription{Name: name, Config: config, Start: start}}}
}

func update(name string, config *edriv1.SubscriptionConfig) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_UpdateSubscription{UpdateSubscription: &edriv1.UpdateSubscription{Name: name, Config: config}}}
}

func remove(name string) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_DeleteSubscription{DeleteSubscription: &edriv1.DeleteSubscription{Name: name}}}
}

func pauseOf(name string, paused bool, note string) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_PauseSubscription{PauseSubscription: &edriv1.PauseSubscription{Name: name, Paused: paused, Note: note}}}
}

func seekTo(name string, start *edriv1.Start) *edriv1.Op {
	start = cmp.Or(start, atNow())
	return &edriv1.Op{Op: &edriv1.Op_SeekSubscription{SeekSubscription: &edriv1.SeekSubscription{Name: name, Start: start}}}
}

func redriveOf(name string, positions ...uint64) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_Redrive{Redrive: &edriv1.Redrive{Subscription: name, Positions: positions}}}
}

func atNow() *edriv1.Start { return &edriv1.Start{Start: &edriv1.Start_Now{Now: true}} }

func atFirst() *edriv1.Start { return &edriv1.Start{Start: &edriv1.Start_First{First: true}} }

func atPosition(p uint64) *edriv1.Start {
	return &edriv1.Start{Start: &edriv1.Start_Position{Position: p}}
}

func settleOf(name string, generation, position uint64, verb edriv1.Settle_Verb) *edriv1.Settle {
	return &edriv1.Settle{
		Subscription: name, Position: position, Verb: verb,
		Token: token{generation, 0, event.Position(position), 1, 7}.appendTo(nil),
	}
}

func opOf(s *edriv1.Settle) *edriv1.Op { return &edriv1.Op{Op: &edriv1.Op_Settle{Settle: s}} }

func ack(name string, generation, position uint64) *edriv1.Op {
	return opOf(settleOf(name, generation, position, edriv1.Settle_ACK))
}

func nak(name string, generation, position uint64, reason string) *edriv1.Op {
	s := settleOf(name, generation, position, edriv1.Settle_NAK)
	s.Reason = reason
	return opOf(s)
}

func nakFor(name string, generation, position uint64, delay time.Duration) *edriv1.Op {
	s := settleOf(name, generation, position, edriv1.Settle_NAK)
	s.Delay = proto.Int64(int64(delay))
	return opOf(s)
}

func park(name string, generation, position uint64, reason string) *edriv1.Op {
	s := settleOf(name, generation, position, edriv1.Settle_PARK)
	s.Reason = reason
	return opOf(s)
}

// subscribe creates a subscription from the first event on and returns its generation.
func (h *hall) subscribe(name string, config *edriv1.SubscriptionConfig) uint64 {
	h.Helper()
	return h.must(create(name, config, atFirst())).GetSubscriptionChanged().GetGeneration()
}

// advance moves a cursor and lets events be pending.
func (h *hall) advance(generation uint64, from, to event.Position, positions ...event.Position) {
	h.Helper()
	h.lead(opAdvance, encodeAdvance(generation, from, to, positions, nil))
}

func (h *hall) fails(generation uint64, how int, reason string, positions ...event.Position) {
	h.Helper()
	h.lead(opFail, encodeFail(generation, positions, reason, how))
}

// told returns the notes since the last call.
func (h *hall) told() string {
	var list []string
	for _, n := range h.witness.notes {
		list = append(list, strings.TrimPrefix(fmt.Sprintf("%T%v", n, n), "router.note"))
	}
	h.witness.notes = nil
	return strings.Join(list, " ")
}

// state renders a subscription: "cursor 5; 2 3(1 fails, until 9); dead 4".
func (h *hall) state(name string) string {
	h.Helper()
	v := h.core.View()
	defer v.Close()
	s, ok, err := SubscriptionOf(v, name)
	if err != nil {
		h.Fatalf("read subscription: %v", err)
	}
	if !ok {
		return "none"
	}
	text := fmt.Sprint("cursor ", s.Cursor, ";")
	for p, err := range PendingOf(v, s.Generation) {
		if err != nil {
			h.Fatalf("read pending: %v", err)
		}
		text += fmt.Sprint(" ", p.Position)
		switch {
		case p.Due != 0:
			text += fmt.Sprintf("(%d until %d)", p.Attempts, p.Due-h.now)
		case p.Attempts != 0:
			text += fmt.Sprintf("(%d)", p.Attempts)
		}
	}
	letters, _, err := DeadOf(v, s.ID, 0, 1000)
	if err != nil {
		h.Fatalf("read dead letters: %v", err)
	}
	text += ";"
	for _, d := range letters {
		text += fmt.Sprintf(" %d(%d)", d.Position, len(d.Attempts))
	}
	return text
}

func (h *hall) expectState(name, want string) {
	h.Helper()
	if got := h.state(name); got != want {
		h.Errorf("%s is %q, want %q", name, got, want)
	}
}

// code returns that of a result's error, with what belongs to it.
func code(r *edriv1.CommitResult) string {
	if r.Error == nil {
		return ""
	}
	text := r.Error.Code
	if r.Error.Position != 0 {
		text += fmt.Sprint(" by ", r.Error.Position)
	}
	return text
}

// data returns the data of the event at a position.
func (h *hall) data(p event.Position) string {
	h.Helper()
	v := h.core.View()
	defer v.Close()
	r, err := v.Journal().Get(p)
	if err != nil {
		h.Fatalf("read %d: %v", p, err)
	}
	head, err := event.ScanHeader(r.Event)
	if err != nil {
		h.Fatalf("read %d: %v", p, err)
	}
	return fmt.Sprintf("%s %s %s %s", r.Stream, head.Type, head.Subject, head.Data)
}

// pins returns the positions that are pinned at or above the journal's first, by how far
// retention comes.
func (h *hall) rows(kind byte) int {
	h.Helper()
	v := h.core.View()
	defer v.Close()
	it := v.Scan(machineName, []byte{kind}, []byte{kind + 1}, false)
	defer it.Close()
	n := 0
	for it.Next() {
		n++
	}
	if err := it.Err(); err != nil {
		h.Fatalf("scan: %v", err)
	}
	return n
}

// timers returns how many timers wait.
func (h *hall) timers() int {
	h.Helper()
	v := h.core.View()
	defer v.Close()
	it := v.Scan("timers", nil, nil, false)
	defer it.Close()
	n := 0
	for it.Next() {
		n++
	}
	return n
}

// retain lets retention end what it can before a position, and returns the first that
// is left.
func (h *hall) retain(first event.Position) event.Position {
	h.Helper()
	h.raw(consensus.RetainCommit(first, 0))
	return h.core.Meta().Mark.First
}

func positionsUpTo(from, to event.Position) []event.Position {
	var list []event.Position
	for p := from + 1; p <= to; p++ {
		list = append(list, p)
	}
	return slices.Clip(list)
}
