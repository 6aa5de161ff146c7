package engine

import (
	"bytes"
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
	"github.com/edri-io/edri/cron"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/wire"
	"github.com/edri-io/edri/router"
	"github.com/edri-io/edri/timers"
	"github.com/edri-io/edri/workflows"
)

// failer is what *testing.T and *rapid.T have in common.
type failer interface {
	Helper()
	Errorf(string, ...any)
	Fatalf(string, ...any)
}

var testEpoch = event.Epoch{1}

// plant is a core with the machine, and the cluster of one that its leader sees.
// Operations are built and results are read with the generated types: the hand-written
// codec is held to them by every test.
type plant struct {
	failer
	cfg    consensus.CoreConfig
	dir    string
	engine *Engine

	mu    sync.Mutex
	core  *consensus.Core
	index uint64
	clock func() int64
}

// start2026 is where the clocks of these tests begin.
var start2026 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()

// newPlant returns a plant whose clock stands still at *now.
func newPlant(t testing.TB, now *int64) *plant {
	t.Helper()
	*now = start2026
	p := openPlant(t, t.TempDir(), func() int64 { return *now })
	t.Cleanup(func() { _ = p.core.Close() })
	return p
}

func openPlant(t failer, dir string, clock func() int64) *plant {
	t.Helper()
	table := timers.New()
	requests := router.NewMachine(table)
	p := &plant{failer: t, dir: dir, clock: clock, engine: New(table, requests, slog.New(slog.DiscardHandler))}
	requests.Tell(p.engine)
	schedules := cron.NewMachine(table, requests, nil)
	schedules.Runs = p.engine
	p.engine.Tell(schedules)
	mux, err := consensus.NewMux(table, requests, schedules, p.engine, rowWriter{})
	if err != nil {
		t.Fatalf("mux: %v", err)
	}
	p.cfg = consensus.CoreConfig{Machines: mux, InitialMmap: 1 << 24}
	p.open()
	p.raw(consensus.LeadCommit("n1", testEpoch, 0))
	return p
}

func (p *plant) open() {
	p.Helper()
	core, err := consensus.OpenCore(p.dir, p.cfg)
	if err != nil {
		p.Fatalf("open core: %v", err)
	}
	p.core = core
}

// reopen flushes and opens the core again.
func (p *plant) reopen() {
	p.Helper()
	if f := p.core.Freeze(); f != nil {
		if err := f.Run(); err != nil {
			p.Fatalf("flush: %v", err)
		}
	}
	if err := p.core.Close(); err != nil {
		p.Fatalf("close core: %v", err)
	}
	p.open()
}

func (p *plant) raw(commit []byte) *edriv1.CommitResult {
	p.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.index++
	now := p.clock()
	entry := consensus.EncodeEntry(consensus.EntryHeader{Feature: 1, Epoch: testEpoch, Now: now, Stamp: now}, [][]byte{commit})
	outcomes, err := p.core.Apply(p.index, 1, entry)
	if err != nil {
		p.Fatalf("apply: %v", err)
	}
	p.core.Publish()
	p.core.Notify()
	r := &edriv1.CommitResult{}
	if err := proto.Unmarshal(outcomes[0].Result, r); err != nil {
		p.Fatalf("decode result: %v", err)
	}
	again, err := proto.MarshalOptions{Deterministic: true}.Marshal(r)
	if err != nil || string(again) != string(outcomes[0].Result) {
		p.Fatalf("result is %x, generated code writes %x", outcomes[0].Result, again)
	}
	return r
}

// check is what a node says of a commit where it enters.
func (p *plant) check(ops ...*edriv1.Op) ([]byte, consensus.CommitInfo, error) {
	p.Helper()
	b, err := proto.Marshal(&edriv1.Commit{Ops: ops})
	if err != nil {
		p.Fatalf("encode: %v", err)
	}
	info, err := p.cfg.Machines.CheckCommit(b, event.DefaultLimits())
	return b, info, err
}

// do executes a commit of a client.
func (p *plant) do(ops ...*edriv1.Op) *edriv1.CommitResult {
	p.Helper()
	b, info, err := p.check(ops...)
	if err != nil {
		p.Fatalf("check commit: %v", err)
	}
	return p.raw(consensus.SealCommit(nil, b, info, 0))
}

// must is do for one operation that holds.
func (p *plant) must(op *edriv1.Op) *edriv1.OpResult {
	p.Helper()
	r := p.do(op)
	if r.Error != nil {
		p.Fatalf("%v: %v", op, r.Error)
	}
	return r.Results[0]
}

// code is do for one operation, of which it returns the error's code.
func (p *plant) code(op *edriv1.Op) string {
	p.Helper()
	return p.do(op).GetError().GetCode()
}

func internal(op uint32, body []byte) []byte {
	o := protowire.AppendBytes(protowire.AppendTag(nil, protowire.Number(op), protowire.BytesType), body)
	c := protowire.AppendBytes(protowire.AppendTag(nil, 7, protowire.BytesType), o)
	return consensus.SealCommit(nil, c, consensus.CommitInfo{}, 0)
}

// rowWriter is a state machine that puts rows of an earlier version into the table of runs.
type rowWriter struct{}

const opPutRow = 99

func (rowWriter) Name() string               { return "rowwriter" }
func (rowWriter) Ops() (first, last uint32)  { return opPutRow, opPutRow }
func (rowWriter) Check(uint32, []byte) error { return nil }

func (rowWriter) Apply(tx *consensus.Tx, _ uint32, body []byte) ([]byte, error) {
	b := wire.ReadRow(bytes.Clone(body))
	key := b.Text()
	tx.In(machineName).Put(key, b.Rest())
	return nil, nil
}

func (p *plant) putRow(key, row []byte) {
	p.Helper()
	p.raw(internal(opPutRow, append(wire.AppendText(nil, key), row...)))
}

// ring fires timers that are due.
func (p *plant) ring() {
	p.Helper()
	for range 3 { // what is set while firing fires in the next entry
		p.raw(internal(16, []byte{8, 0xe8, 7}))
	}
}

// Now, View and Enqueue make the plant a Node.
func (p *plant) Now() int64 { return p.clock() }

func (p *plant) View() *consensus.View { return p.core.View() }

func (p *plant) Enqueue(op uint32, body []byte, done func(*event.Error)) {
	p.raw(internal(op, body))
	done(nil)
}

func defineOp(d *edriv1.DefineWorkflow) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_DefineWorkflow{DefineWorkflow: d}}
}

func startRunOp(s *edriv1.StartRun) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_StartRun{StartRun: s}}
}

func advanceRunOp(a *edriv1.AdvanceRun) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_AdvanceRun{AdvanceRun: a}}
}

// define makes a workflow known.
func (p *plant) define(name string, version uint32) {
	p.Helper()
	p.must(defineOp(&edriv1.DefineWorkflow{Name: name, Version: version, Attributes: []*edriv1.WorkflowAttribute{
		{Name: "customer"}, {Name: "total", Type: edriv1.WorkflowAttribute_NUMBER},
		{Name: "rush", Type: edriv1.WorkflowAttribute_BOOL}, {Name: "due", Type: edriv1.WorkflowAttribute_TIME},
	}}))
}

// begin starts a run and returns its number.
func (p *plant) begin(s *edriv1.StartRun) uint64 {
	p.Helper()
	return p.must(startRunOp(s)).GetRunStarted().GetNumber()
}

func entryRecord(n uint64) *edriv1.RunRecord { return &edriv1.RunRecord{Entry: n} }

func ownRecord(kind, data string) *edriv1.RunRecord {
	return &edriv1.RunRecord{Kind: kind, Time: start2026, Data: data}
}

func completeRecord(result string) *edriv1.RunRecord {
	r := ownRecord(workflows.KindCompleted, `{"result":`+result+`}`)
	r.Do = &edriv1.RunRecord_End{End: &edriv1.EndRun{Status: edriv1.RunStatus_COMPLETED, Result: result}}
	return r
}

func timerRecord(seq uint64, after time.Duration) *edriv1.RunRecord {
	r := ownRecord(workflows.KindTimerSet, fmt.Sprintf(`{"seq":%d,"for":"%v"}`, seq, after))
	r.Do = &edriv1.RunRecord_SetTimer{SetTimer: &edriv1.SetRunTimer{Seq: seq, After: int64(after)}}
	return r
}

// step advances a run by records, as a worker does that knows how far it is.
func (p *plant) step(id string, records ...*edriv1.RunRecord) *edriv1.CommitResult {
	p.Helper()
	r := p.run(id)
	return p.do(advanceRunOp(&edriv1.AdvanceRun{
		Id: id, Number: r.Number, Advance: r.Advance + 1, Nonce: r.Advance + 1000, Records: records,
	}))
}

func (p *plant) mustStep(id string, records ...*edriv1.RunRecord) {
	p.Helper()
	if r := p.step(id, records...); r.Error != nil {
		p.Fatalf("advance %s: %v", id, r.Error)
	}
}

func (p *plant) run(id string) Run {
	p.Helper()
	v := p.core.View()
	defer v.Close()
	r, err := RunOf(v, id, 0)
	if err != nil {
		p.Fatalf("run %s: %v", id, err)
	}
	return r
}

func (p *plant) runOf(id string, number uint64) Run {
	p.Helper()
	v := p.core.View()
	defer v.Close()
	r, err := RunOf(v, id, number)
	if err != nil {
		p.Fatalf("run %s/%d: %v", id, number, err)
	}
	return r
}

func (p *plant) detailsOf(number uint64) Details {
	p.Helper()
	v := p.core.View()
	defer v.Close()
	d, err := DetailsOf(v, number, true)
	if err != nil {
		p.Fatalf("details of run %d: %v", number, err)
	}
	return d
}

// inbox renders the entries that a run has not consumed: "1 signal.received {...} | ...".
func (p *plant) inbox(id string) string {
	p.Helper()
	r := p.run(id)
	v := p.core.View()
	defer v.Close()
	var entries []workflows.Entry
	for from := r.Entry + 1; ; from = entries[len(entries)-1].Number + 1 {
		more, err := entriesOf(v, r.Number, from)
		if err != nil {
			p.Fatalf("entries of %s: %v", id, err)
		}
		if entries = append(entries, more...); len(more) == 0 {
			break
		}
	}
	var parts []string
	for _, e := range entries {
		if !json.Valid(e.Data) {
			p.Errorf("entry %d of %s is no JSON: %s", e.Number, id, e.Data)
		}
		parts = append(parts, fmt.Sprintf("%d %s %s", e.Number, e.Kind, e.Data))
	}
	return strings.Join(parts, " | ")
}

// history renders the kinds of a run's history, in the order of its ranges.
func (p *plant) history(id string, number uint64) string {
	p.Helper()
	r := p.runOf(id, number)
	byRevision := map[event.Revision]string{}
	for _, e := range p.events(workflows.HistoryStream(id)) {
		byRevision[e.Revision] = strings.TrimPrefix(e.Type, workflows.HistoryPrefix)
		if !json.Valid(e.Data) {
			p.Errorf("%s of %s is no JSON: %s", e.Type, id, e.Data)
		}
	}
	var kinds []string
	for _, h := range r.History {
		for at := h.From; at <= h.To; at++ {
			kinds = append(kinds, byRevision[at])
		}
	}
	return strings.Join(kinds, " ")
}

// events returns the events of a stream.
func (p *plant) events(stream string) []event.Recorded {
	p.Helper()
	v := p.core.View()
	defer v.Close()
	var list []event.Recorded
	for at := event.Position(1); at <= v.Mark.Last; at++ {
		r, err := v.Journal().Get(at)
		if err != nil {
			p.Fatalf("read position %d: %v", at, err)
		}
		if r.Stream != stream {
			continue
		}
		e, err := event.DecodeEvent(r.Event)
		if err != nil {
			p.Fatalf("decode position %d: %v", at, err)
		}
		list = append(list, event.Recorded{Event: e, Position: at, Revision: r.Revision, Stream: r.Stream})
	}
	return list
}

// rows counts the rows of the machine by their kinds, but for those of definitions.
func (p *plant) rows() string {
	p.Helper()
	v := p.core.View()
	defer v.Close()
	it := v.Scan(machineName, nil, nil, false)
	defer it.Close()
	var b strings.Builder
	counts := map[byte]int{}
	for it.Next() {
		counts[it.Key()[0]]++
	}
	for kind := range 128 {
		if n := counts[byte(kind)]; n > 0 && kind != kindDefinition {
			fmt.Fprintf(&b, "%c%d ", kind, n)
		}
	}
	return strings.TrimSpace(b.String())
}

func equal[T comparable](t failer, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is\n\t%v, want\n\t%v", what, got, want)
	}
}
