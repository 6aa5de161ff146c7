package consensus

import (
	"encoding/binary"

	"github.com/edri-io/edri/event"
)

const (
	// DefaultWindow is how many events back a (source, id) is unique.
	DefaultWindow = 1_000_000
	// MaxWindow bounds the setting: the window takes 42 bytes an event.
	MaxWindow = 10_000_000

	// Fingerprints lie in chunks of this many, so that the window grows and
	// shrinks without copying.
	chunkEvents = 4096
	minIndex    = 1024
)

type chunk [chunkEvents]event.Fingerprint

// window finds an event by its (source, id) among those at the positions
// [floor, last].
//
// Fingerprints lie by position in a queue of chunks. The index over them is a
// hash table of open addressing with linear probing. Neither holds pointers but
// the queue's own few, so the collector has nothing to scan: 24 bytes an event,
// and 13 to 27 for the index.
//
// A slot holds a tag, part of the identity, beside the position, so that a search
// that finds nothing, as almost all do, and the removal of an old event read the
// index alone: each other place would be one more miss of the processor's cache,
// which is most of what both cost.
//
// An identity is in the window at most once: apply adds no duplicates.
type window struct {
	size   uint64 // W
	floor  uint64 // lowest position within; last+1 when empty
	last   uint64
	chunks []*chunk // chunks[0] holds position base*chunkEvents
	base   uint64
	spare  *chunk
	index  []slot
	mask   uint64

	prefetched uint32 // written by prefetch and read by none
}

// slot is a place of the index. tag is the low half of what home is made of, so
// that home is known without the fingerprint; place is 0 in a free slot (placeOf).
type slot struct{ tag, place uint32 }

// reset empties the window for events from floor on.
func (w *window) reset(size, floor uint64) {
	*w = window{size: size, floor: floor, last: floor - 1, base: floor / chunkEvents}
}

func (w *window) len() uint64 { return w.last + 1 - w.floor }

// at returns the fingerprint at a position of the window.
func (w *window) at(position uint64) *event.Fingerprint {
	return &w.chunks[position/chunkEvents-w.base][position%chunkEvents]
}

// find returns the position of the event with this identity, 0 if there is none,
// and its fingerprint.
func (w *window) find(identity *[16]byte) (uint64, *event.Fingerprint) {
	if w.index == nil {
		return 0, nil
	}
	tag := tagOf(identity)
	for i := uint64(tag) & w.mask; ; i = (i + 1) & w.mask {
		s := w.index[i]
		if s.place == 0 {
			return 0, nil
		}
		if s.tag != tag {
			continue
		}
		position := w.position(s.place)
		if f := w.at(position); f.Identity == *identity {
			return position, f
		}
	}
}

// prefetch reads the slots where the commits' searches will begin, and those of
// the events that will leave the window for theirs. The index is far larger than
// the processor's caches: in the midst of other work each slot is a wait for
// memory, here they are waits side by side.
func (w *window) prefetch(commits []commit) {
	if w.index == nil {
		return
	}
	added := uint64(0)
	x := w.prefetched
	for i := range commits {
		for b := commits[i].fingerprints; len(b) >= fingerprintBytes; b = b[fingerprintBytes:] {
			x ^= w.index[uint64(binary.LittleEndian.Uint32(b))&w.mask].place
			added++
		}
	}
	if w.len()+added > w.size {
		for p := w.floor; p <= min(w.floor+added, w.last); p++ {
			x ^= w.index[uint64(tagOf(&w.at(p).Identity))&w.mask].place
		}
	}
	w.prefetched = x
}

// add appends the fingerprint of the event after last. The caller trims.
func (w *window) add(f *event.Fingerprint) {
	w.last++
	n := w.last/chunkEvents - w.base
	if n == uint64(len(w.chunks)) {
		c := w.spare
		if w.spare = nil; c == nil {
			c = new(chunk)
		}
		w.chunks = append(w.chunks, c)
	}
	w.chunks[n][w.last%chunkEvents] = *f
	if w.len()*5 > uint64(len(w.index))*3 {
		w.reindex(indexFor(w.len()))
		return
	}
	w.insert(w.last)
}

// trim lets go of what lies before the last size events.
func (w *window) trim() {
	for w.len() > w.size {
		w.remove(w.floor)
		w.floor++
		if w.floor/chunkEvents > w.base {
			w.spare = w.chunks[0]
			w.chunks[0] = nil
			w.chunks = w.chunks[1:]
			w.base++
		}
	}
}

// setSize changes W. Growing keeps the floor: what is out stays out.
func (w *window) setSize(size uint64) {
	w.size = size
	w.trim()
	if len(w.index) > minIndex && w.len()*16 < uint64(len(w.index)) {
		w.reindex(indexFor(w.len()))
	}
}

// tagOf is where an identity's search begins, before the mask. An identity is a
// part of a SHA-256, so its bits need no further mixing.
func tagOf(identity *[16]byte) uint32 { return binary.LittleEndian.Uint32(identity[:]) }

// placeOf is never 0, nor are those of two positions of one window equal.
func placeOf(position uint64) uint32 { return uint32(position%(1<<32-1)) + 1 }

func (w *window) position(place uint32) uint64 {
	const ring = 1<<32 - 1
	low := uint64(place - 1)
	return w.last - (w.last%ring+ring-low)%ring
}

func (w *window) insert(position uint64) {
	tag := tagOf(&w.at(position).Identity)
	i := uint64(tag) & w.mask
	for w.index[i].place != 0 {
		i = (i + 1) & w.mask
	}
	w.index[i] = slot{tag, placeOf(position)}
}

// remove takes a position out of the index and shifts back those behind it whose
// search would now end at the gap.
func (w *window) remove(position uint64) {
	place := placeOf(position)
	i := uint64(tagOf(&w.at(position).Identity)) & w.mask
	for w.index[i].place != place {
		i = (i + 1) & w.mask
	}
	for j := i; ; {
		j = (j + 1) & w.mask
		s := w.index[j]
		if s.place == 0 {
			break
		}
		if home := uint64(s.tag) & w.mask; (j-home)&w.mask >= (j-i)&w.mask {
			w.index[i] = s
			i = j
		}
	}
	w.index[i] = slot{}
}

// indexFor returns the size of an index that is at most 60% full with n events.
func indexFor(n uint64) int {
	size := minIndex
	for n*5 > uint64(size)*3 {
		size *= 2
	}
	return size
}

// reindex fills an index of a new size.
func (w *window) reindex(size int) {
	w.index = make([]slot, size)
	w.mask = uint64(size) - 1
	for p := w.floor; p <= w.last; p++ {
		w.insert(p)
	}
}
