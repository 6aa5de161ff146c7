package engine

import (
	"bytes"
	"encoding/binary"

	"github.com/edri-io/edri/consensus"
)

const (
	// maxLooked is how many rows one List looks at. Where these hold fewer runs that match
	// than were asked for, the page is short, and its cursor goes on.
	maxLooked = 10_000
	// maxListed is how many bytes the details of a page may have before it is short.
	maxListed = 1 << 20
)

// Listed is a run of a list.
type Listed struct {
	Run
	Details // without what it waits for
}

// List returns runs that match a filter, up to limit. Where the filter says by equality or
// not at all where to look, the last started are first; where it gives only a range or a
// prefix of an attribute, these with the highest value, and of one value the last started.
// Cursor is empty or that of the page before; more is empty when there are no more.
func List(v *consensus.View, filter string, limit int, cursor string) (page []Listed, more string, err error) {
	l := &lister{v: v, limit: limit, most: maxLooked}
	more, err = l.list(filter, cursor)
	return l.page, more, err
}

// lister fills a page.
type lister struct {
	v     *consensus.View
	where *condition // nil: all
	limit int
	most  int // rows to look at

	page          []Listed
	looked, bytes int
}

func (l *lister) list(filter, cursor string) (more string, err error) {
	declared, err := declaredAttributes(l.v)
	if err != nil {
		return "", err
	}
	if l.where, err = parseFilter(filter, declared); err != nil {
		return "", err
	}
	plan, err := planOf(l.v, l.where, declared)
	if err != nil {
		return "", err
	}
	after, err := parseListCursor(cursor, filter, plan.span != nil)
	if err != nil {
		return "", err
	}
	if plan.span != nil {
		after, err = l.along(plan.span, after)
	} else {
		after, err = l.merge(plan, after)
	}
	if err != nil || after == nil {
		return "", err
	}
	return listCursor(filter, plan.span != nil, after), nil
}

// full reports whether the page is at its end.
func (l *lister) full() bool {
	return len(l.page) >= l.limit || l.looked >= l.most || l.bytes >= maxListed
}

// look adds a run to the page if it matches.
func (l *lister) look(number uint64) error {
	r, err := viewRun(l.v, number)
	if err != nil {
		return err
	}
	s := &subject{v: l.v, run: r}
	if l.where != nil {
		if ok, err := l.where.holds(s); !ok || err != nil {
			return err
		}
	}
	d, err := DetailsOf(l.v, number, false)
	if err != nil {
		return err
	}
	l.page = append(l.page, Listed{shown(r), d})
	l.bytes += len(d.Attributes) + len(d.Memo) + len(d.Note) + len(d.Result) + len(d.Failure)
	return nil
}

// merge goes through what the sources have together, the highest number first, below the
// number after (nil: from the begin). It returns where it has come to, nil at the end.
func (l *lister) merge(p *plan, after []byte) ([]byte, error) {
	below := p.below
	if after != nil {
		if len(after) != 8 {
			return nil, errListCursor()
		}
		below = min(below, binary.BigEndian.Uint64(after))
	}
	if below <= p.from {
		return nil, nil
	}
	for _, s := range p.sources {
		s.open(l.v, p.from, below)
		defer s.close()
	}
	for {
		number, err := p.highest()
		if err != nil || number == 0 {
			return nil, err
		}
		if l.full() {
			return after, nil
		}
		after = binary.BigEndian.AppendUint64(nil, number)
		if err := l.look(number); err != nil {
			return nil, err
		}
		for _, s := range p.sources {
			if s.number == number {
				s.next()
				l.looked++
			}
		}
	}
}

// along is merge for a span of an index, from its end.
func (l *lister) along(s *span, after []byte) ([]byte, error) {
	hi := s.hi
	if after != nil {
		if bytes.Compare(after, s.lo) < 0 || bytes.Compare(after, hi) >= 0 {
			return nil, errListCursor()
		}
		hi = after
	}
	it := l.v.Scan(machineName, s.lo, hi, true)
	defer it.Close()
	for it.Next() {
		if l.full() {
			return after, nil
		}
		l.looked++
		after = bytes.Clone(it.Key())
		if err := l.look(second(after)); err != nil {
			return nil, err
		}
	}
	return nil, it.Err()
}
