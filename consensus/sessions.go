package consensus

import (
	"encoding/binary"
)

const (
	// A session keeps its last results, so that a repeat gets the same answer.
	maxKeptResults = 256
	maxKeptBytes   = 64 << 10
	// MaxSessions bounds the sessions that expire, MaxProducers those that do not:
	// about 200 bytes of memory each, and up to 64 KiB of results.
	MaxSessions  = 100_000
	MaxProducers = 100_000
)

// session is the replicated memory of one client: how far it came, and the
// results that it may still ask for.
//
// kept[head:] holds the results, oldest first, each as uvarint first sequence,
// uvarint sequence, uvarint length, bytes. The same bytes end the session's row.
type session struct {
	id       uint64
	producer string // name; empty for a session that expires
	last     uint64 // last sequence that was executed
	used     int64  // stamp of the last entry with a commit of this session
	kept     []byte
	head     int
	results  int

	dirty  bool // listed in sessions.dirty
	closed bool
}

// keptResult is one result that a session still knows.
type keptResult struct {
	first, sequence uint64
	bytes           []byte
}

// nextKept decodes the result at the head of b.
func nextKept(b []byte) (r keptResult, rest []byte, ok bool) {
	var n int
	var size uint64
	for _, v := range []*uint64{&r.first, &r.sequence, &size} {
		if *v, n = binary.Uvarint(b); n <= 0 {
			return keptResult{}, nil, false
		}
		b = b[n:]
	}
	if size > uint64(len(b)) {
		return keptResult{}, nil, false
	}
	r.bytes = b[:size:size]
	return r, b[size:], true
}

// keep remembers the result of the sequences first..sequence, and lets go of the
// oldest results over the limits. The newest stays whatever its size: a client
// that waits for one answer at a time can always ask again.
func (s *session) keep(first, sequence uint64, result []byte) {
	if s.head > 4096 && s.head > len(s.kept)/2 {
		s.kept = s.kept[:copy(s.kept, s.kept[s.head:])]
		s.head = 0
	}
	s.kept = binary.AppendUvarint(s.kept, first)
	s.kept = binary.AppendUvarint(s.kept, sequence)
	s.kept = binary.AppendUvarint(s.kept, uint64(len(result)))
	s.kept = append(s.kept, result...)
	s.results++
	for s.results > maxKeptResults || s.results > 1 && len(s.kept)-s.head > maxKeptBytes {
		s.dropOldest()
	}
}

// maxIdleKeptBytes is how much memory a session without results keeps for the
// next ones.
const maxIdleKeptBytes = 4 << 10

func (s *session) dropOldest() {
	_, rest, _ := nextKept(s.kept[s.head:])
	s.head = len(s.kept) - len(rest)
	if s.results--; s.results == 0 {
		s.kept, s.head = s.kept[:0], 0
		if cap(s.kept) > maxIdleKeptBytes {
			s.kept = nil
		}
	}
}

// acknowledge lets go of the results up to and including a sequence.
func (s *session) acknowledge(through uint64) {
	for s.results > 0 {
		r, _, _ := nextKept(s.kept[s.head:])
		if r.sequence > through {
			return
		}
		s.dropOldest()
	}
}

// covering returns the kept result whose range holds the sequence.
func (s *session) covering(sequence uint64) (keptResult, bool) {
	for b := s.kept[s.head:]; len(b) > 0; {
		r, rest, ok := nextKept(b)
		if !ok || r.first > sequence {
			break
		}
		if sequence <= r.sequence {
			return r, true
		}
		b = rest
	}
	return keptResult{}, false
}

// sessions are all that are open. Their rows are written once for each Publish.
type sessions struct {
	byID  map[uint64]*session
	count int        // without producers
	dirty []*session // changed since the last Publish
}

func (t *sessions) producers() int { return len(t.byID) - t.count }

func (t *sessions) add(s *session) {
	t.byID[s.id] = s
	if s.producer == "" {
		t.count++
	}
}

// remove takes a session out; its row goes with the next Publish.
func (t *sessions) remove(s *session) {
	delete(t.byID, s.id)
	if s.producer == "" {
		t.count--
	}
	s.closed = true
	t.touch(s)
}

// touch marks a session as changed.
func (t *sessions) touch(s *session) {
	if !s.dirty {
		s.dirty = true
		t.dirty = append(t.dirty, s)
	}
}
