package router

import (
	"encoding/binary"
	"math"
	"strings"
	"unicode/utf8"
)

const (
	// A reason is cut at this many bytes.
	maxReasonBytes = 8 << 10
	// What the reasons of one event have together; the oldest are emptied beyond.
	maxReasonsBytes = 32 << 10
)

// failures are the failed attempts of an event as they stand in rows:
//
//	uvarint count | for each: uvarint stamp | uvarint length, reason
type failures struct {
	count int
	list  []byte // without the count
}

// failure is one failed attempt.
type failure struct {
	stamp  int64 // when, in nanoseconds since 1970
	reason string
}

func (f failures) append(dst []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(f.count)), f.list...)
}

// failures reads the rest of a row.
func (r *reader) failures() failures {
	count := r.uvarint()
	if count > math.MaxInt32 {
		r.bad = true
		return failures{}
	}
	list := r.rest
	for i := uint64(0); i < count && !r.bad; i++ {
		r.uvarint()
		r.text()
	}
	return failures{count: int(count), list: list[:len(list)-len(r.rest)]}
}

// all takes the failures apart.
func (f failures) all() []failure {
	list := make([]failure, 0, f.count)
	for r := (reader{rest: f.list}); len(r.rest) > 0; {
		list = append(list, failure{stamp: int64(r.uvarint()), reason: string(r.text())})
	}
	return list
}

// with returns the failures and one more. They do not alias f.
func (f failures) with(stamp int64, reason []byte) failures {
	list := append(f.all(), failure{stamp: stamp, reason: cutReason(reason)})
	total := 0
	for i := len(list) - 1; i >= 0; i-- {
		if total += len(list[i].reason); total > maxReasonsBytes {
			total -= len(list[i].reason)
			list[i].reason = ""
		}
	}
	return joinFailures(list)
}

func joinFailures(list []failure) failures {
	f := failures{count: len(list)}
	for _, one := range list {
		f.list = appendText(binary.AppendUvarint(f.list, uint64(one.stamp)), one.reason)
	}
	return f
}

// cutReason makes valid text of at most maxReasonBytes of a reason.
func cutReason(reason []byte) string {
	text := strings.ToValidUTF8(string(reason), "\uFFFD")
	if len(text) <= maxReasonBytes {
		return text
	}
	cut := maxReasonBytes
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut]
}
