package consensus

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/wire"
)

// sampleCommit is a commit of one append, as generated code writes it.
func sampleCommit(stream, id string, data []byte) []byte {
	e := event.Event{ID: id, Source: "tests", Type: "test", Data: data}
	a := wire.AppendBytes(nil, 1, stream)
	a = wire.AppendUint(a, 3, 2)
	a = wire.AppendBytes(a, 4, event.AppendEvent(nil, &e))
	o := wire.AppendBytes(nil, opAppend, a)
	c := wire.AppendUint(nil, fieldSession, 300)
	c = wire.AppendUint(c, fieldSequence, 7)
	return wire.AppendBytes(c, fieldOps, o)
}

func FuzzDecodeEntry(f *testing.F) {
	f.Add(EncodeEntry(EntryHeader{Feature: 1, Epoch: event.Epoch{1}, Now: 5, Stamp: 6}, nil))
	f.Add(EncodeEntry(EntryHeader{Feature: 1}, [][]byte{{}, sampleCommit("a", "1", nil), LeadCommit("n1", event.Epoch{1}, 3)}))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := DecodeEntry(b)
		if err != nil {
			if !errors.Is(err, ErrUndecodable) {
				t.Fatalf("got error %v", err)
			}
			return
		}
		commits := e.Commits()
		if len(commits) != e.Len() {
			t.Fatalf("%d commits of %d", len(commits), e.Len())
		}
		again, err := DecodeEntry(EncodeEntry(e.EntryHeader, commits))
		if err != nil || again.EntryHeader != e.EntryHeader || again.Len() != e.Len() {
			t.Fatalf("encoded again: %+v, error %v", again, err)
		}
		for i, c := range again.Commits() {
			if !bytes.Equal(c, commits[i]) {
				t.Fatalf("commit %d: %x, was %x", i, c, commits[i])
			}
		}
	})
}

// What CheckCommit accepts, apply can decode once it is sealed.
func FuzzCheckCommit(f *testing.F) {
	f.Add([]byte{})
	f.Add(sampleCommit("a", "1", []byte("data")))
	f.Add(sampleCommit("", "1", nil))
	f.Add([]byte{0x3a, 2, 0x12, 0})
	f.Add([]byte{0x3a, 5, 0x1a, 3, 0x0a, 1, 'p'})
	f.Add([]byte{0x10, 1, 0x20, 3, 0x18, 2, 0x28, 1, 0x30, 1, 0x3a, 2, 0x22, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		info, err := CheckCommit(b, event.DefaultLimits())
		if err != nil {
			var e *event.Error
			if !errors.As(err, &e) {
				t.Fatalf("got error %v", err)
			}
			return
		}
		var m commit
		if err := decodeSealed(&m, SealCommit(nil, b, info, 5)); err != nil {
			t.Fatalf("accepted, but apply says: %v", err)
		}
		if m.waiter != 5 || m.session != info.Session || m.sequence != info.Sequence || m.first != info.FirstSequence || len(m.ops) != info.Ops {
			t.Fatalf("apply reads %+v, the check read %+v", m, info)
		}
		for _, o := range m.ops {
			if o.number == opAppend {
				if a, err := decodeAppend(o.body); err != nil || a.event == nil {
					t.Fatalf("append %+v, error %v", a, err)
				}
			}
		}
	})
}

func FuzzDecodeCommit(f *testing.F) {
	f.Add(SealCommit(nil, sampleCommit("a", "1", nil), CommitInfo{fingerprints: make([]byte, 24)}, math.MaxUint64))
	f.Add(SettingCommit(SettingWindow, 5, 1))
	f.Add(ExpireSessionsCommit([]IdleSession{{ID: 1, Used: 2}}, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m commit
		n, err := m.decode(b, 10)
		if len(m.ops) > 10 || err == nil && len(m.ops) != min(n, 10) {
			t.Fatalf("%d operations of %d", len(m.ops), n)
		}
		for _, o := range m.ops {
			_, _ = decodeAppend(o.body)
			_, _ = decodeProducer(o.body)
			_, _ = decodeInternal(o.body)
		}
	})
}

func FuzzDecodeResult(f *testing.F) {
	c := &Core{}
	f.Add(c.appendResult(nil, 1, 2, 3, []opResult{{kind: resultAppended, position: 3, revision: 1}, {}}, nil))
	f.Add(c.appendResult(nil, 1, 2, 3, nil, event.RevisionConflict("a", 5, 3)))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := DecodeResultError(b)
		if err != nil && e != nil {
			t.Fatalf("both %v and %v", e, err)
		}
	})
}

func FuzzDecodeSession(f *testing.F) {
	s := &session{id: 1, producer: "p", last: 9, used: 5}
	s.keep(1, 4, []byte("one"))
	s.keep(5, 9, nil)
	f.Add(s.appendRow(nil))
	f.Add((&session{id: 1}).appendRow(nil))
	f.Fuzz(func(t *testing.T, row []byte) {
		s, err := decodeSession(1, row)
		if err != nil {
			if !errors.Is(err, errRow) {
				t.Fatalf("got error %v", err)
			}
			return
		}
		again, err := decodeSession(1, s.appendRow(nil))
		if err != nil || again.last != s.last || again.used != s.used || again.producer != s.producer ||
			again.results != s.results || !bytes.Equal(again.kept, s.kept) {
			t.Fatalf("%+v again is %+v, error %v", s, again, err)
		}
		for range s.results {
			s.dropOldest()
		}
		if len(s.kept) != s.head {
			t.Fatalf("%d bytes are left", len(s.kept)-s.head)
		}
	})
}

func TestDamagedSessionRowsAreRefused(t *testing.T) {
	t.Parallel()
	head := (&session{id: 1, last: 9}).appendRow(nil)
	for name, row := range map[string][]byte{
		"empty":            nil,
		"cut head":         head[:16],
		"version":          append([]byte{2}, head[1:]...),
		"name cut off":     append(head[:17:17], 5, 'p'),
		"result cut off":   append(head[:18:18], 1, 2, 5, 'x'),
		"overlap":          append(head[:18:18], 1, 4, 0, 4, 5, 0),
		"backwards":        append(head[:18:18], 4, 3, 0),
		"beyond the last":  append(head[:18:18], 9, 10, 0),
		"sequence 0":       append(head[:18:18], 0, 1, 0),
		"too many results": append(head[:18:18], bytes.Repeat([]byte{1, 1, 0}, 257)...),
	} {
		if s, err := decodeSession(1, row); !errors.Is(err, errRow) {
			t.Errorf("%s: got %+v, error %v", name, s, err)
		}
	}
}

func FuzzDecodeMeta(f *testing.F) {
	m := Meta{Index: 1, Term: 2, Stamp: 3, Floor: 1, Trimmed: 1, Leader: "n1"}
	f.Add(m.append(nil))
	f.Fuzz(func(t *testing.T, row []byte) {
		m, err := decodeMeta(row)
		if err != nil {
			return
		}
		if again, err := decodeMeta(m.append(nil)); err != nil || again != m {
			t.Fatalf("%+v again is %+v, error %v", m, again, err)
		}
	})
}
