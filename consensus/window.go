package consensus

import (
	"encoding/binary"

	"github.com/edri-io/edri/event"
)

const (
	// DefaultWindow is how many events back a (source, id) is unique.
	DefaultWindow = 1_000_000
	// MaxWindow bounds the setting: the window takes 33 bytes an event.
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
// hash table of open addressing with linear probing, whose slots are 0 or stand
// for a position (slotOf). Neither holds pointers but the queue's own few, so
// the collector has nothing to scan: 24 bytes an event, and 7 to 13 for the index.
//
// An identity is in the window at most once: apply adds no duplicates.
type window struct {
	size   uint64 // W
	floor  uint64 // lowest position within; last+1 when empty
	last   uint64
	chunks []*chunk // chunks[0] holds position base*chunkEvents
	base   uint64
	spare  *chunk
	index  []uint32
	mask   uint64
}

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
	for i := w.home(identity); ; i = (i + 1) & w.mask {
		slot := w.index[i]
		if slot == 0 {
			return 0, nil
		}
		position := w.position(slot)
		if f := w.at(position); f.Identity == *identity {
			return position, f
		}
	}
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

// home is the slot where an identity's search begins. An identity is a part of a
// SHA-256, so its bits need no further mixing.
func (w *window) home(identity *[16]byte) uint64 {
	return binary.LittleEndian.Uint64(identity[:]) & w.mask
}

// slotOf is never 0, nor are the low bits of two positions of one window equal.
func slotOf(position uint64) uint32 { return uint32(position%(1<<32-1)) + 1 }

func (w *window) position(slot uint32) uint64 {
	const ring = 1<<32 - 1
	low := uint64(slot - 1)
	return w.last - (w.last%ring+ring-low)%ring
}

func (w *window) insert(position uint64) {
	i := w.home(&w.at(position).Identity)
	for w.index[i] != 0 {
		i = (i + 1) & w.mask
	}
	w.index[i] = slotOf(position)
}

// remove takes a position out of the index and shifts back those behind it whose
// search would now end at the gap.
func (w *window) remove(position uint64) {
	slot := slotOf(position)
	i := w.home(&w.at(position).Identity)
	for w.index[i] != slot {
		i = (i + 1) & w.mask
	}
	for j := i; ; {
		j = (j + 1) & w.mask
		if w.index[j] == 0 {
			break
		}
		home := w.home(&w.at(w.position(w.index[j])).Identity)
		if (j-home)&w.mask >= (j-i)&w.mask {
			w.index[i] = w.index[j]
			i = j
		}
	}
	w.index[i] = 0
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
	w.index = make([]uint32, size)
	w.mask = uint64(size) - 1
	for p := w.floor; p <= w.last; p++ {
		w.insert(p)
	}
}
