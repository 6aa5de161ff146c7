package log

import (
	"hash/maphash"

	"github.com/edri-io/edri/event"
)

// hashSeed makes hashes that live in this process only.
var hashSeed = maphash.MakeSeed()

// signature stands for the names of one record: hashes, 0 where there is none,
// and last the number of its type. 20 bytes without pointers cost little to keep,
// and the few ten thousand that no run covers yet are searched from end to end.
type signature [numNames + 1]uint32

const signatureType = numNames // index of the type's number

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
		if i > 0 && string(name) == r.Stream {
			g[i] = g[0] // by default a stream is called like its subject or source
			continue
		}
		g[i] = nameHash(name)
	}
	g[signatureType] = s.number(n.typ)
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
		g[signatureType] = next.number([]byte(s.types[g[signatureType]]))
		next.list = append(next.list, g)
	}
	return next
}

// scan finds the records whose signatures fit a query. Hashes collide, so the
// records must be compared as well.
type scan struct {
	signatures
	want        signature // hashes, 0: any; the type's stays 0
	lead        int       // index of a hash that is wanted; -1: only types are
	allowed     []bool    // types by number, nil: any
	reverse     bool
	first, last event.Position // bounds of what is searched
}

func newScan(s signatures, q *Query, first, last event.Position) *scan {
	c := &scan{signatures: s, reverse: q.Reverse, first: first, last: last, lead: -1}
	for i, name := range q.names() {
		if c.want[i] = nameHash(name); c.want[i] != 0 {
			c.lead = i
		}
	}
	if q.Type != "" || q.TypePrefix != "" {
		c.allowed = make([]bool, len(s.types))
		for i, typ := range s.types {
			c.allowed[i] = i > 0 && q.matchesType(typ)
		}
	}
	return c
}

func (c *scan) seek(p event.Position) (event.Position, error) {
	list := c.list[c.first-c.base-1 : c.last-c.base]
	i := int(p - c.first)
	if c.reverse {
		for ; i >= 0; i-- {
			if c.fits(&list[i]) {
				return c.first + event.Position(i), nil
			}
		}
		return 0, nil
	}
	for ; i < len(list); i++ {
		if c.fits(&list[i]) {
			return c.first + event.Position(i), nil
		}
	}
	return 0, nil
}

// fits is two steps so that the first, which decides nearly always, is inlined.
func (c *scan) fits(g *signature) bool {
	return (c.lead < 0 || g[c.lead] == c.want[c.lead]) && c.fitsAll(g)
}

func (c *scan) fitsAll(g *signature) bool {
	for i, want := range c.want {
		if want != 0 && g[i] != want {
			return false
		}
	}
	return c.allowed == nil || c.allowed[g[signatureType]]
}

func (c *scan) size() (uint64, error) { return uint64(c.last-c.first) + 1, nil }
