package consensus

import (
	"fmt"
	"testing"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/wire"
)

const entryCommits = 64

// load makes entries of commits, each appending an event of 256 bytes.
type load struct {
	sessions int
	next     []uint64 // sequence by session
	epoch    event.Epoch
	id       int
	stamp    int64
}

func newLoad(b *testing.B, c *Core, sessions int) *load {
	b.Helper()
	l := &load{sessions: sessions, next: make([]uint64, sessions), epoch: event.Epoch{1}}
	open := internalCommit(opOpenSession, nil, 0)
	commits := [][]byte{LeadCommit("n1", l.epoch, 0)}
	for range sessions {
		commits = append(commits, open)
	}
	outcomes, err := c.Apply(1, 1, l.entry(commits))
	if err != nil || len(outcomes) != sessions+1 {
		b.Fatal(err)
	}
	c.Publish()
	return l
}

func (l *load) entry(commits [][]byte) []byte {
	l.stamp++
	return EncodeEntry(EntryHeader{Feature: 1, Epoch: l.epoch, Now: l.stamp, Stamp: l.stamp}, commits)
}

// commit returns the next commit of a session, unsealed.
func (l *load) commit(session int) []byte {
	l.id++
	l.next[session]++
	e := event.Event{ID: fmt.Sprintf("%032d", l.id), Source: "bench", Type: "measured", Data: make([]byte, 256)}
	a := wire.AppendBytes(nil, 1, fmt.Appendf(nil, "stream-%d", session))
	a = wire.AppendBytes(a, 4, event.AppendEvent(nil, &e))
	o := wire.AppendBytes(nil, opAppend, a)
	c := wire.AppendUint(nil, fieldSession, uint64(session+1))
	c = wire.AppendUint(c, fieldSequence, l.next[session])
	if inFlight := uint64(64 / l.sessions); l.next[session] > inFlight {
		c = wire.AppendUint(c, fieldAckedThrough, l.next[session]-inFlight)
	}
	return wire.AppendBytes(c, fieldOps, o)
}

func (l *load) batch(b *testing.B, n int) []byte {
	commits := make([][]byte, n)
	for i := range commits {
		c := l.commit(i % l.sessions)
		info, err := CheckCommit(c, event.DefaultLimits())
		if err != nil {
			b.Fatal(err)
		}
		commits[i] = SealCommit(nil, c, info, uint64(i+1))
	}
	return l.entry(commits)
}

// BenchmarkApply measures a commit of one event of 256 bytes, in entries of 64,
// with its share of Publish. Flushes run beside it, as in a node, but are not
// measured.
func BenchmarkApply(b *testing.B) {
	for _, sessions := range []int{1, 64} {
		for _, window := range []int{0, DefaultWindow} {
			b.Run(fmt.Sprintf("sessions=%d/window=%d", sessions, window), func(b *testing.B) {
				benchmarkApply(b, sessions, window)
			})
		}
	}
}

func benchmarkApply(b *testing.B, sessions, window int) {
	c, err := OpenCore(b.TempDir(), CoreConfig{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	l := newLoad(b, c, sessions)
	index := uint64(1)
	fillWindow(c, window)
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; {
		b.StopTimer()
		var entries [][]byte
		for range 128 {
			entries = append(entries, l.batch(b, entryCommits))
		}
		b.StartTimer()
		for _, e := range entries {
			index++
			outcomes, err := c.Apply(index, 1, e)
			if err != nil {
				b.Fatal(err)
			}
			c.Publish()
			done += len(outcomes)
		}
		b.StopTimer()
		if c.DirtyBytes() > 8<<20 {
			if err := c.Freeze().Run(); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
	}
	b.StopTimer()
	if got := c.meta.Mark.Last; int(got) < b.N {
		b.Fatalf("%d events for %d commits", got, b.N)
	}
}

// fillWindow puts events into the window that are nowhere else.
func fillWindow(c *Core, n int) {
	if n == 0 {
		return
	}
	c.window.reset(DefaultWindow, 1)
	for i := range uint64(n) {
		f := fingerprintOf(i+1<<40, false)
		c.window.add(&f)
	}
}

func BenchmarkCheckAndSeal(b *testing.B) {
	l := &load{sessions: 1, next: make([]uint64, 1)}
	c := l.commit(0)
	limits := event.DefaultLimits()
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		info, err := CheckCommit(c, limits)
		if err != nil {
			b.Fatal(err)
		}
		dst = SealCommit(dst[:0], c, info, 1<<63)
	}
}

func BenchmarkOpenCore(b *testing.B) {
	dir := b.TempDir()
	c, err := OpenCore(dir, CoreConfig{})
	if err != nil {
		b.Fatal(err)
	}
	l := newLoad(b, c, 64)
	for i := range uint64(DefaultWindow / 64) {
		if _, err := c.Apply(i+2, 1, l.batch(b, entryCommits)); err != nil {
			b.Fatal(err)
		}
		c.Publish()
		if c.DirtyBytes() > 8<<20 {
			if err := c.Freeze().Run(); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := c.Freeze().Run(); err != nil {
		b.Fatal(err)
	}
	if err := c.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		c, err := OpenCore(dir, CoreConfig{})
		if err != nil {
			b.Fatal(err)
		}
		if c.window.len() < DefaultWindow/64*64 {
			b.Fatal("the window is not full")
		}
		if err := c.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
