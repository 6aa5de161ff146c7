package timers_test

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/timers"
)

// bells is a toy owner of timers. Operation 20 sets the bell of a name for a time,
// 21 cancels it. A bell that rings appends an event and counts; it does more by its
// name: "again" sets itself for the same time, "hush NAME" cancels another, "crack"
// fails.
type bells struct{ table *timers.Table }

func (bells) Name() string               { return "bells" }
func (bells) Ops() (first, last uint32)  { return 20, 21 }
func (bells) Check(uint32, []byte) error { return nil }

func (b bells) Apply(tx *consensus.Tx, op uint32, body []byte) ([]byte, error) {
	due, bell := int64(binary.BigEndian.Uint64(body)), string(body[8:])
	if op == 20 {
		b.set(tx, due, bell)
		return nil, nil
	}
	return nil, b.cancel(tx, bell)
}

func (b bells) set(tx *consensus.Tx, due int64, bell string) {
	t := b.table.Set(tx, b, due, []byte(bell))
	row := binary.BigEndian.AppendUint64(nil, uint64(t.Due))
	tx.Put([]byte(bell), binary.BigEndian.AppendUint64(row, t.Number))
}

func (b bells) cancel(tx *consensus.Tx, bell string) error {
	row, err := tx.Get([]byte(bell))
	if row == nil || err != nil {
		return err
	}
	b.table.Cancel(tx, timers.Timer{Due: int64(binary.BigEndian.Uint64(row)), Number: binary.BigEndian.Uint64(row[8:])})
	tx.Delete([]byte(bell))
	return nil
}

func (b bells) Fire(tx *consensus.Tx, t timers.Timer, payload []byte) error {
	bell := string(payload)
	e := event.Event{ID: "ring " + bell + " " + event.Position(t.Number).String(), Source: "/bells", Type: "rang", Data: []byte(bell)}
	if _, _, err := tx.Append("bells", event.ExpectAny, event.AppendEvent(nil, &e)); err != nil {
		return err
	}
	switch verb, other, _ := strings.Cut(bell, " "); verb {
	case "again":
		b.set(tx, t.Due, bell)
	case "hush":
		return b.cancel(tx, other)
	case "crack":
		return event.Errorf(event.CodeInvalid, "cracked")
	}
	return nil
}

// tower is a core with bells, and the cluster of one that Run sees.
type tower struct {
	testing.TB
	table *timers.Table
	cfg   consensus.CoreConfig
	dir   string
	clock func() int64

	mu      sync.Mutex
	core    *consensus.Core
	index   uint64
	fires   int
	refuse  error // what the next fire is answered with
	applied chan struct{}
}

func newTower(t testing.TB, clock func() int64) *tower {
	t.Helper()
	table := timers.New()
	b := bells{table}
	table.Register(b)
	mux, err := consensus.NewMux(table, b)
	if err != nil {
		t.Fatal(err)
	}
	w := &tower{TB: t, table: table, cfg: consensus.CoreConfig{Machines: mux, InitialMmap: 1 << 30}, dir: t.TempDir(), clock: clock, applied: make(chan struct{})}
	w.open()
	t.Cleanup(func() { _ = w.core.Close() })
	w.mustApply(consensus.LeadCommit("n1", event.Epoch{1}, 0))
	return w
}

func (w *tower) open() {
	w.Helper()
	core, err := consensus.OpenCore(w.dir, w.cfg)
	if err != nil {
		w.Fatalf("open core: %v", err)
	}
	w.core = core
}

func (w *tower) flush() {
	w.Helper()
	if f := w.core.Freeze(); f != nil {
		if err := f.Run(); err != nil {
			w.Fatalf("flush: %v", err)
		}
	}
}

// reopen flushes and opens the core again.
func (w *tower) reopen() {
	w.Helper()
	w.flush()
	if err := w.core.Close(); err != nil {
		w.Fatalf("close core: %v", err)
	}
	w.open()
}

func (w *tower) apply(commit []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock()
	w.index++
	entry := consensus.EncodeEntry(consensus.EntryHeader{Feature: 1, Epoch: event.Epoch{1}, Now: now, Stamp: now}, [][]byte{commit})
	outcomes, err := w.core.Apply(w.index, 1, entry)
	if err != nil {
		return err
	}
	w.core.Publish()
	close(w.applied)
	w.applied = make(chan struct{})
	refused, err := consensus.DecodeResultError(outcomes[0].Result)
	if refused != nil {
		return refused
	}
	return err
}

func (w *tower) mustApply(commit []byte) {
	w.Helper()
	if err := w.apply(commit); err != nil {
		w.Fatalf("apply: %v", err)
	}
}

func commitOf(op uint32, bodies ...[]byte) []byte {
	var c []byte
	for _, body := range bodies {
		o := protowire.AppendBytes(protowire.AppendTag(nil, protowire.Number(op), protowire.BytesType), body)
		c = protowire.AppendBytes(protowire.AppendTag(c, 7, protowire.BytesType), o)
	}
	return consensus.SealCommit(nil, c, consensus.CommitInfo{}, 0)
}

func (w *tower) set(due int64, bell string) {
	w.Helper()
	w.mustApply(commitOf(20, bellFor(due, bell)))
}

func bellFor(due int64, bell string) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(due)), bell...)
}

func (w *tower) cancel(bell string) {
	w.Helper()
	w.mustApply(commitOf(21, append(make([]byte, 8), bell...)))
}

// fire proposes what Run would, for at most so many.
func (w *tower) fire(limit uint64) error {
	return w.Propose(context.Background(), 16, protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), limit))
}

// rang returns the bells that rang so far, in order.
func (w *tower) rang() string {
	w.Helper()
	v := w.core.View()
	defer v.Close()
	var list []string
	for p := event.Position(1); p <= v.Mark.Last; p++ {
		r, err := v.Journal().Get(p)
		if err != nil {
			w.Fatalf("read %d: %v", p, err)
		}
		h, err := event.ScanHeader(r.Event)
		if err != nil {
			w.Fatal(err)
		}
		id, _ := strings.CutPrefix(string(h.ID), "ring ")
		list = append(list, id[:strings.LastIndexByte(id, ' ')])
	}
	return strings.Join(list, ",")
}

func (w *tower) Now() int64 { return w.clock() }

func (w *tower) Applied() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.applied
}

func (w *tower) View() *consensus.View { return w.core.View() }

func (w *tower) Propose(_ context.Context, op uint32, body []byte) error {
	w.mu.Lock()
	err := w.refuse
	w.refuse = nil
	w.fires++
	w.mu.Unlock()
	if err != nil {
		return err
	}
	return w.apply(commitOf(op, body))
}

var errFull = errors.New("full")
