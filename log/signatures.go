package log

import (
	"hash/maphash"

	"github.com/edri-io/edri/event"
)

// hashSeed makes hashes that live in this process only.
var hashSeed = maphash.MakeSeed()

// signature stands for the names of one record: hashes, 0 where there is none,
// and the number of its type. 20 bytes without pointers, compared in order,
// measured far below posting lists in what they cost to keep and fast enough to
// search through the few ten thousand records that no run covers yet.
type signature struct {
	names [numNames]uint32
	typ   uint32
}

// signatures covers the records after base. All slices are only appended to, so
// that a copy of the struct is a snapshot.
type signatures struct {
	base  event.Position
	list  []signature
	types []string // by number; number 0 stands for no type
}

func nameHash[T ~string | ~[]byte](name T) uint32 {
	if len(name) == 0 {
		return 0
	}
	return uint32(maphash.String(hashSeed, string(name))) | 1
}

// signer makes signatures. It belongs to who holds the journal's mutex.
type signer struct {
	signatures
	numbers map[string]uint32
}

func newSigner(base event.Position) signer {
	return signer{signatures: signatures{base: base, types: []string{""}}, numbers: map[string]uint32{"": 0}}
}

func (s *signer) add(r *Record) {
	n := namesOf(r)
	var g signature
	for i, name := range n.of {
		g.names[i] = nameHash(name)
	}
	g.typ = s.number(n.typ)
	s.list = append(s.list, g)
}

func (s *signer) number(typ []byte) uint32 {
	if i, ok := s.numbers[string(typ)]; ok {
		return i
	}
	i := uint32(len(s.types))
	s.types = append(s.types, string(typ))
	s.numbers[s.types[i]] = i
	return i
}

// rebase returns a signer for the records after base, with the types that these
// have and no others.
func (s *signer) rebase(base event.Position) signer {
	rest := s.list[base-s.base:]
	next := newSigner(base)
	next.list = make([]signature, 0, len(rest))
	for _, g := range rest {
		g.typ = next.number([]byte(s.types[g.typ]))
		next.list = append(next.list, g)
	}
	return next
}

// scan finds the records whose signatures fit a query. Hashes collide, so the
// records must be compared as well.
type scan struct {
	signatures
	want    [numNames]uint32 // 0: any
	types   []bool           // by number, nil: any
	reverse bool
	last    event.Position // bounds of what is searched
	first   event.Position
}

func newScan(s signatures, q *Query, first, last event.Position) *scan {
	c := &scan{signatures: s, reverse: q.Reverse, first: first, last: last}
	for i, name := range q.names() {
		c.want[i] = nameHash(name)
	}
	if q.Type != "" || q.TypePrefix != "" {
		c.types = make([]bool, len(s.types))
		for i, typ := range s.types {
			c.types[i] = i > 0 && q.matchesType(typ)
		}
	}
	return c
}

func (c *scan) seek(p event.Position) (event.Position, error) {
	if c.reverse {
		for ; p >= c.first; p-- {
			if c.fits(&c.list[p-c.base-1]) {
				return p, nil
			}
		}
		return 0, nil
	}
	for ; p <= c.last; p++ {
		if c.fits(&c.list[p-c.base-1]) {
			return p, nil
		}
	}
	return 0, nil
}

func (c *scan) fits(g *signature) bool {
	for i, want := range c.want {
		if want != 0 && g.names[i] != want {
			return false
		}
	}
	return c.types == nil || c.types[g.typ]
}

func (c *scan) size() (uint64, error) { return uint64(c.last-c.first) + 1, nil }
