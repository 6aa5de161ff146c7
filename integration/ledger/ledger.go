package ledger

import (
	"crypto/sha256"
	"sync"

	"github.com/edri-io/edri/event"
)

// Key identifies an event.
type Key struct{ Source, ID string }

// Ledger remembers what was sent and what was acknowledged. Safe for concurrent
// use.
type Ledger struct {
	mu      sync.Mutex // guards what follows
	clock   uint64     // counts sends and acknowledgements: their real order
	entries map[Key]*entry
	acked   int
}

type entry struct {
	digest        [sha256.Size]byte
	sent, ackedAt uint64 // on the ledger's clock; ackedAt 0: not acknowledged
	position      event.Position
	revision      event.Revision
}

// New returns an empty ledger.
func New() *Ledger { return &Ledger{entries: map[Key]*entry{}} }

// Sent notes an event before it is sent. Sending it again changes nothing.
func (l *Ledger) Sent(e event.Event) {
	key, sum := Key{e.Source, e.ID}, digest(e)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clock++
	if l.entries[key] == nil {
		l.entries[key] = &entry{digest: sum, sent: l.clock}
	}
}

// Acknowledged notes that a sent event is acknowledged, at a position and
// revision if they were told: 0 is unknown.
func (l *Ledger) Acknowledged(key Key, position event.Position, revision event.Revision) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clock++
	e := l.entries[key]
	if e == nil || e.ackedAt != 0 {
		return
	}
	e.ackedAt, e.position, e.revision = l.clock, position, revision
	l.acked++
}

// Counts returns how many events were sent and how many acknowledged.
func (l *Ledger) Counts() (sent, acknowledged int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries), l.acked
}

// digest is over what a sender decides, so that it is the same for the event that
// was sent and for the one that is read back.
func digest(e event.Event) [sha256.Size]byte {
	return sha256.Sum256(event.AppendEvent(nil, &e))
}
