package log

import (
	"github.com/tidwall/btree"

	"github.com/edri-io/edri/event"
)

// Purges says up to which position the events of streams are purged: they are in
// the journal's files still, but no read returns them. The zero value purges
// nothing. A Purges is for one goroutine, except that one which is not changed any
// more may be read by any.
type Purges struct {
	through btree.Map[string, event.Position]
}

// Set purges a stream up to and including a position.
func (p *Purges) Set(stream string, through event.Position) { p.through.Set(stream, through) }

// Through returns the position up to which a stream is purged, 0 if it is not.
func (p *Purges) Through(stream string) event.Position {
	if p == nil {
		return 0
	}
	through, _ := p.through.Get(stream)
	return through
}

// Len returns how many streams are purged.
func (p *Purges) Len() int { return p.through.Len() }

// Forget drops the streams whose purged events lie below first, where retention
// has put an end to all events, and returns them in the order of their names.
func (p *Purges) Forget(first event.Position) []string {
	var gone []string
	p.through.Scan(func(stream string, through event.Position) bool {
		if through < first {
			gone = append(gone, stream)
		}
		return true
	})
	for _, stream := range gone {
		p.through.Delete(stream)
	}
	return gone
}

// Copy returns a copy, which shares memory until one of the two changes: it costs
// the same however many there are.
func (p *Purges) Copy() *Purges { return &Purges{through: *p.through.Copy()} }
