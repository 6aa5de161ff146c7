package consensus

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/edri-io/edri/event"
)

// FeatureLevel is the newest level of commands that this binary can apply.
const FeatureLevel uint32 = 1

const (
	entryVersion     = 1
	entryHeaderBytes = 41
	entryCountOffset = 37
)

// ErrUndecodable says that a committed entry cannot be understood. The node must
// stop: its peers may have applied it.
var ErrUndecodable = errors.New("entry cannot be decoded")

// EntryHeader is what the proposer stamps into an entry, since apply may read no
// clock of its own.
type EntryHeader struct {
	Feature uint32      // level of the commands within
	Epoch   event.Epoch // the lineage that the proposer belongs to
	Now     int64       // the proposer's time in nanoseconds since 1970
	Stamp   int64       // max(the previous entry's stamp, Now)
}

// Entry is a decoded entry: a header and the commits that were coalesced.
//
//	offset  bytes
//	     0      1  version, 1
//	     1      4  feature level
//	     5     16  epoch
//	    21      8  now
//	    29      8  stamp
//	    37      4  number of commits
//	    41         that many of: uvarint length, bytes of edri.v1.Commit
//
// Integers are big-endian. Nothing follows the last commit.
type Entry struct {
	EntryHeader
	commits int
	rest    []byte
}

// EncodeEntry returns the entry that holds the commits, in their order.
func EncodeEntry(h EntryHeader, commits [][]byte) []byte {
	size := entryHeaderBytes
	for _, c := range commits {
		size += binary.MaxVarintLen32 + len(c)
	}
	b := AppendEntryHeader(make([]byte, 0, size), h, len(commits))
	for _, c := range commits {
		b = AppendCommit(b, c)
	}
	return b
}

// AppendEntryHeader appends the header of an entry of n commits, which the
// caller appends with AppendCommit.
func AppendEntryHeader(dst []byte, h EntryHeader, n int) []byte {
	dst = append(dst, entryVersion)
	dst = binary.BigEndian.AppendUint32(dst, h.Feature)
	dst = append(dst, h.Epoch[:]...)
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.Now))
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.Stamp))
	return binary.BigEndian.AppendUint32(dst, uint32(n))
}

// AppendCommit appends one sealed commit to an entry.
func AppendCommit(dst, commit []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(commit)))
	return append(dst, commit...)
}

// DecodeEntry decodes an entry whose commits alias b. Every length is checked
// before it returns, so that an entry that is torn has no effect at all. Errors
// wrap ErrUndecodable.
func DecodeEntry(b []byte) (Entry, error) {
	if len(b) < entryHeaderBytes {
		return Entry{}, fmt.Errorf("%w: %d bytes are less than a header", ErrUndecodable, len(b))
	}
	if b[0] != entryVersion {
		return Entry{}, fmt.Errorf("%w: version %d", ErrUndecodable, b[0])
	}
	e := Entry{
		EntryHeader: EntryHeader{
			Feature: binary.BigEndian.Uint32(b[1:]),
			Epoch:   event.Epoch(b[5:21]),
			Now:     int64(binary.BigEndian.Uint64(b[21:])),
			Stamp:   int64(binary.BigEndian.Uint64(b[29:])),
		},
		commits: int(binary.BigEndian.Uint32(b[entryCountOffset:])),
		rest:    b[entryHeaderBytes:],
	}
	walk := e
	for range e.commits {
		if _, ok := walk.next(); !ok {
			return Entry{}, fmt.Errorf("%w: a commit is cut off", ErrUndecodable)
		}
	}
	if len(walk.rest) != 0 {
		return Entry{}, fmt.Errorf("%w: %d bytes after the last of %d commits", ErrUndecodable, len(walk.rest), e.commits)
	}
	return e, nil
}

// Len returns the number of commits.
func (e Entry) Len() int { return e.commits }

// Commits returns the commits, which alias the entry.
func (e Entry) Commits() [][]byte {
	list := make([][]byte, 0, min(e.commits, len(e.rest)))
	for range e.commits {
		c, _ := e.next()
		list = append(list, c)
	}
	return list
}

// next takes the next commit off the entry.
func (e *Entry) next() ([]byte, bool) {
	size, n := binary.Uvarint(e.rest)
	if n <= 0 || size > uint64(len(e.rest)-n) {
		return nil, false
	}
	c := e.rest[n : n+int(size) : n+int(size)]
	e.rest = e.rest[n+int(size):]
	return c, true
}
