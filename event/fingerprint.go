package event

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"slices"
	"sync"
)

// FingerprintSize is the length of an encoded Fingerprint.
const FingerprintSize = 24

// Fingerprint identifies an event and its content. Two events are the same if both
// halves agree; the same Identity with other Content is a conflict.
//
//	0        16       24
//	| Identity | Content |
type Fingerprint struct {
	// Identity is made from source and id.
	Identity [16]byte
	// Content is made from everything else that the producer means; see
	// Header.Fingerprint.
	Content [8]byte
}

// AppendTo appends the 24 bytes of f to dst.
func (f Fingerprint) AppendTo(dst []byte) []byte {
	dst = append(dst, f.Identity[:]...)
	return append(dst, f.Content[:]...)
}

// ParseFingerprint reads the first 24 bytes of b, which must be there.
func ParseFingerprint(b []byte) Fingerprint {
	var f Fingerprint
	copy(f.Identity[:], b[:16])
	copy(f.Content[:], b[16:FingerprintSize])
	return f
}

// Fingerprint returns the fingerprint of a scanned event. With len as a uvarint, and
// each hash cut from the left of a SHA-256:
//
//	Identity  len(source) source id
//	Content   len(type) type
//	          { len(name) name len(value) value }   attributes, by ascending name
//	          0                                     end of the attributes
//	          0 | 1 data                            without data | with data
//
// The attributes are those of the map, without time, traceparent, tracestate and those
// that the server sets. A value is the canonical string of CloudEvents, and in data of
// a JSON content type the white space between tokens is left out: so an event has one
// fingerprint, whether it came as protobuf, with text or binary data, or as JSON.
func (h *Header) Fingerprint() Fingerprint {
	d := digests.Get().(*digest)
	defer digests.Put(d)

	var f Fingerprint
	d.reset()
	d.sized(h.Source)
	d.write(h.ID)
	d.sum(f.Identity[:])

	d.reset()
	d.sized(h.Type)
	if h.sorted {
		for a := range h.attributes {
			d.attribute(&a)
		}
	} else {
		h.digestUnsorted(d)
	}
	d.byte(0)
	switch {
	case h.Data == nil:
		d.byte(0)
	case isJSONType(h.DataContentType):
		d.byte(1)
		d.compact(h.Data)
	default:
		d.byte(1)
		d.write(h.Data)
	}
	d.sum(f.Content[:])
	return f
}

func (h *Header) digestUnsorted(d *digest) {
	var all [MaxAttributes]attribute
	n := 0
	for a := range h.attributes {
		all[n] = a
		n++
	}
	slices.SortFunc(all[:n], func(a, b attribute) int { return bytes.Compare(a.name, b.name) })
	for i := range all[:n] {
		d.attribute(&all[i])
	}
}

// digest collects what is hashed. What fits its buffer is hashed in one call.
type digest struct {
	n    int
	long bool // bytes went to h
	h    hash.Hash
	buf  [1024]byte
	// value is where canonical strings are made.
	value [64]byte
}

var digests = sync.Pool{New: func() any { return &digest{h: sha256.New()} }}

func (d *digest) reset() {
	if d.long {
		d.h.Reset()
	}
	d.n, d.long = 0, false
}

func (d *digest) write(p []byte) {
	if len(p) > len(d.buf)-d.n {
		d.h.Write(d.buf[:d.n])
		d.n, d.long = 0, true
		if len(p) > len(d.buf) {
			d.h.Write(p)
			return
		}
	}
	d.n += copy(d.buf[d.n:], p)
}

func (d *digest) byte(c byte) {
	if d.n == len(d.buf) {
		d.h.Write(d.buf[:])
		d.n, d.long = 0, true
	}
	d.buf[d.n] = c
	d.n++
}

func (d *digest) sized(p []byte) {
	n := uint64(len(p))
	for ; n >= 0x80; n >>= 7 {
		d.byte(byte(n) | 0x80)
	}
	d.byte(byte(n))
	d.write(p)
}

// sum fills dst with the hash's first bytes.
func (d *digest) sum(dst []byte) {
	if !d.long {
		sum := sha256.Sum256(d.buf[:d.n])
		copy(dst, sum[:])
		return
	}
	d.h.Write(d.buf[:d.n])
	copy(dst, d.h.Sum(d.buf[:0]))
}

func (d *digest) attribute(a *attribute) {
	switch string(a.name) {
	case attrTime, AttrTraceParent, AttrTraceState:
		return
	}
	if isServerName(a.name) {
		return
	}
	d.sized(a.name)
	d.sized(a.canonical(d.value[:0]))
}

// compact writes JSON text without the white space between its tokens.
func (d *digest) compact(p []byte) {
	if bytes.IndexByte(p, ' ') < 0 && bytes.IndexByte(p, '\n') < 0 &&
		bytes.IndexByte(p, '\t') < 0 && bytes.IndexByte(p, '\r') < 0 {
		d.write(p)
		return
	}
	for run := range compactRuns(p) {
		d.write(run)
	}
}
