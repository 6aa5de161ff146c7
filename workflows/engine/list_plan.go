package engine

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/store"
)

// maxSources is how many rows of an index are gone through together.
const maxSources = 64

// plan says which rows are looked at for a filter: those of one span, else those of all
// sources of numbers in [from, below).
type plan struct {
	span        *span
	sources     []*source
	from, below uint64
}

// span is a part of an index in the order of an attribute's values: keys in [lo, hi).
type span struct{ lo, hi []byte }

// source is the runs whose numbers stand behind a prefix, in descending order, and before
// them one that stands elsewhere.
type source struct {
	prefix []byte
	lone   uint64 // 0: none

	rows   *store.Iterator
	number uint64 // 0: at the end
	err    error
}

func (s *source) open(v *consensus.View, from, below uint64) {
	s.rows = v.Scan(machineName, binary.BigEndian.AppendUint64(bytes.Clone(s.prefix), from),
		binary.BigEndian.AppendUint64(bytes.Clone(s.prefix), below), true)
	if s.number = s.lone; s.lone < from || s.lone >= below {
		s.number = 0
	}
	if s.number == 0 {
		s.next()
	}
}

func (s *source) next() {
	s.number = 0
	for s.rows.Next() {
		if key := s.rows.Key(); len(key) == len(s.prefix)+8 {
			s.number = second(key)
			return
		}
	}
	s.err = s.rows.Err()
}

func (s *source) close() { s.rows.Close() }

// highest returns the highest number that a source stands at, 0 where all are at their end.
func (p *plan) highest() (number uint64, err error) {
	for _, s := range p.sources {
		if s.err != nil {
			return 0, s.err
		}
		number = max(number, s.number)
	}
	return number, nil
}

// planOf chooses where to look: where an id, an attribute, a status or a type is given by
// equality, there; else along a range of an attribute; else at all runs. Runs are numbered
// as they start, so times of start bound the numbers.
func planOf(v *consensus.View, c *condition, declared map[string][]attributeType) (*plan, error) {
	p := &plan{below: math.MaxUint64}
	sources, rank, err := drive(v, c)
	if err != nil {
		return nil, err
	}
	if rank == rankNone {
		p.span = spanOf(c, declared)
		sources = []*source{{prefix: []byte{kindRun}}}
	}
	if p.span != nil {
		return p, nil
	}
	p.sources = sources
	for _, part := range conjuncts(c) {
		if part.field != fieldOfStarted {
			continue
		}
		if err := p.bound(v, part); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Ranks of what drives a list: how few runs it is likely to leave.
const (
	rankNone = iota
	rankEnded
	rankType
	rankStatus
	rankAttribute
	rankID
)

// drive returns sources that have every run which matches, and the rank of what they come
// from; rankNone where no index has them.
func drive(v *consensus.View, c *condition) (best []*source, rank int, err error) {
	switch {
	case c == nil:
	case c.op == opAnd:
		for _, part := range c.parts {
			sources, r, err := drive(v, part)
			if err != nil {
				return nil, rankNone, err
			}
			if r > rank {
				best, rank = sources, r
			}
		}
	case c.op == opOr:
		rank = rankID
		for _, part := range c.parts {
			sources, r, err := drive(v, part)
			if err != nil || r == rankNone || len(best)+len(sources) > maxSources {
				return nil, rankNone, err
			}
			best, rank = append(best, sources...), min(rank, r)
		}
	case c.op == opEqual && len(c.values) <= maxSources:
		return driveEqual(v, c)
	}
	return best, rank, nil
}

func driveEqual(v *consensus.View, c *condition) (sources []*source, rank int, err error) {
	field := c.field
	switch field {
	case fieldOfStarted, fieldOfEnded, fieldOfVersion, fieldOfPaused:
		return nil, rankNone, nil
	case fieldOfID:
		for _, id := range c.values {
			s, err := sourceOfID(v, id)
			if err != nil {
				return nil, rankNone, err
			}
			sources = append(sources, s)
		}
		return sources, rankID, nil
	case fieldOfStatus:
		field, rank = fieldStatus, rankStatus
		if slices.Contains(c.values, value(statusCompleted.String())) {
			rank = rankEnded
		}
	case fieldOfType:
		field, rank = fieldType, rankType
	default:
		rank = rankAttribute
	}
	for _, want := range c.values {
		sources = append(sources, &source{prefix: indexPrefix(field, want)})
	}
	return sources, rank, nil
}

// sourceOfID has all runs of an id.
func sourceOfID(v *consensus.View, id value) (*source, error) {
	text, _ := id.(string)
	row, err := v.Get(machineName, nameKey(kindID, []byte(text)))
	if err != nil {
		return nil, err
	}
	s := &source{prefix: append(nameKey(kindOlder, []byte(text)), 0)}
	if len(row) == 8 {
		s.lone = second(row)
	}
	return s, nil
}

// conjuncts are the conditions that all must hold.
func conjuncts(c *condition) []*condition {
	switch {
	case c == nil:
		return nil
	case c.op == opAnd:
		var list []*condition
		for _, part := range c.parts {
			list = append(list, conjuncts(part)...)
		}
		return list
	}
	return []*condition{c}
}

// spanOf returns the span of the first attribute that is bounded, nil where none is.
func spanOf(c *condition, declared map[string][]attributeType) *span {
	var s *span
	field := ""
	for _, part := range conjuncts(c) {
		types := declared[part.field]
		// Values of more than one type are not in one order.
		if len(types) != 1 || part.op < opLess || len(part.values) != 1 || field != "" && field != part.field {
			continue
		}
		if s == nil {
			field = part.field
			s = &span{lo: fieldPrefix(field), hi: after(fieldPrefix(field))}
		}
		lo, hi := part.keys()
		if bytes.Compare(lo, s.lo) > 0 {
			s.lo = lo
		}
		if bytes.Compare(hi, s.hi) < 0 {
			s.hi = hi
		}
	}
	if s != nil && bytes.Compare(s.lo, s.hi) > 0 {
		s.hi = s.lo
	}
	return s
}

// keys returns the bounds of a comparison's rows in the index.
func (c *condition) keys() (lo, hi []byte) {
	all := fieldPrefix(c.field)
	here := indexPrefix(c.field, c.values[0])
	switch c.op {
	case opLess:
		return all, here
	case opLessEqual:
		return all, after(here)
	case opMore:
		return after(here), after(all)
	case opMoreEqual:
		return here, after(all)
	}
	text, _ := c.values[0].(string) // opPrefix
	begin := appendTextPrefix(all, text)
	return begin, after(begin)
}

// after returns the first key behind all that begin with a prefix, which is not all 255.
func after(prefix []byte) []byte {
	next := bytes.Clone(prefix)
	for i := len(next) - 1; i > 0; i-- {
		if next[i] < math.MaxUint8 {
			next[i]++
			return next[:i+1]
		}
	}
	next[0]++
	return next[:1]
}

// bound narrows the numbers to those of runs that started at a time.
func (p *plan) bound(v *consensus.View, c *condition) error {
	if c.op == opNot || c.op == opOr || len(c.values) != 1 {
		return nil
	}
	at, _ := c.values[0].(int64)
	if c.op == opEqual || c.op == opMore || c.op == opMoreEqual {
		from, err := firstStarted(v, at)
		if err != nil {
			return err
		}
		p.from = max(p.from, from)
	}
	if c.op == opEqual || c.op == opLess || c.op == opLessEqual {
		below, err := firstStarted(v, at+1)
		if err != nil {
			return err
		}
		p.below = min(p.below, below)
	}
	p.below = max(p.below, p.from)
	return nil
}

// firstStarted returns a number that those of all runs which started at a time or later
// reach, and none of those before.
func firstStarted(v *consensus.View, at int64) (uint64, error) {
	last, _, err := startedFrom(v, 0, true)
	if err != nil {
		return 0, err
	}
	lo, hi := uint64(0), last+1
	for lo < hi {
		middle := lo + (hi-lo)/2
		number, started, err := startedFrom(v, middle, false)
		switch {
		case err != nil:
			return 0, err
		case number == 0 || started >= at:
			hi = middle
		default:
			lo = number + 1
		}
	}
	return lo, nil
}

// startedFrom returns the first run that has a number or a higher one, or the last of
// these, and when it started; 0 for none.
func startedFrom(v *consensus.View, number uint64, last bool) (uint64, int64, error) {
	it := v.Scan(machineName, numberKey(kindRun, number), []byte{kindRun + 1}, last)
	defer it.Close()
	if !it.Next() {
		return 0, 0, it.Err()
	}
	r, err := parseRun(second(it.Key()), it.Value())
	if err != nil {
		return 0, 0, err
	}
	return r.number, r.started, nil
}
