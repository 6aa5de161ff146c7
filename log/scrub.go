package log

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/store"
)

// Scrub reads the whole file of the sealed segment that begins at first, at a
// pace: every page, the checksum of every row, that the records follow each other
// without a gap, that they have the segment's digest, and that the posting lists are
// those of the records. It reads beside bbolt's
// memory map, which others may be reading. Damage is store.ErrCorrupt. A segment
// that is not there any more, or not sealed, is event.CodeNotFound.
func (j *Journal) Scrub(ctx context.Context, first event.Position, pace store.Pace) error {
	sealed := j.sealed(first)
	if sealed == nil {
		return errNoSegment(first)
	}
	err := scrub(ctx, sealed.path, &sealed.header, pace)
	if errors.Is(err, fs.ErrNotExist) {
		if j.sealed(first) == nil { // retention took it
			return errNoSegment(first)
		}
		return corrupt(sealed.path, "", nil, "file is missing")
	}
	return err
}

func errNoSegment(first event.Position) error {
	return event.Errorf(event.CodeNotFound, "no sealed segment begins at position %d", first)
}

// sealed returns the sealed segment that begins at first, nil if there is none.
func (j *Journal) sealed(first event.Position) *segmentState {
	for _, s := range j.current.Load().segments {
		if s.first == first && s.header.sealed {
			return &s
		}
	}
	return nil
}

// scrub reads the file of the segment with this header.
func scrub(ctx context.Context, path string, want *header, pace store.Pace) error {
	s := scrubber{path: path, want: want, next: want.first}
	if err := store.ScrubBolt(ctx, path, pace, s.row); err != nil {
		return err
	}
	switch {
	case !s.headed:
		return corrupt(path, string(bucketHeader), keyHeader, "is missing")
	case s.next != want.last+1:
		return corrupt(path, string(bucketRecords), positionKey(s.next), fmt.Sprintf("position %d is missing", s.next))
	case s.sum != want.digest:
		return corrupt(path, string(bucketRecords), nil, fmt.Sprintf("records have another digest than %x", want.digest))
	case !s.inLists.equal(&s.inRecords):
		return corrupt(path, "postings", nil, fmt.Sprintf("the lists hold %d entries, not the %d of the records", s.inLists.pairs, s.inRecords.pairs))
	}
	return nil
}

// scrubber takes in the rows of one file, bucket by bucket.
type scrubber struct {
	path   string
	want   *header
	headed bool           // the header was met
	next   event.Position // that the records go on with
	sum    digest         // of the rows before next
	chunk  chunk

	inLists, inRecords tally
}

// row implements store.RowFunc.
func (s *scrubber) row(bucket string, key, value []byte) error {
	switch bucket {
	case string(bucketHeader):
		if !bytes.Equal(key, keyHeader) || !bytes.Equal(value, s.want.append(nil)) {
			return corrupt(s.path, bucket, key, "is not the header that the segment was sealed with")
		}
		s.headed = true
		return nil
	case string(bucketRecords):
		return s.records(key, value)
	}
	if err := s.inLists.addRow(key, value); err != nil {
		return corrupt(s.path, bucket, key, err.Error())
	}
	return nil
}

// records adds a row of records to the digest.
func (s *scrubber) records(key, value []byte) error {
	if err := decodeChunk(&s.chunk, key, value); err != nil {
		return corrupt(s.path, string(bucketRecords), key, err.Error())
	}
	if s.chunk.first != s.next {
		return corrupt(s.path, string(bucketRecords), key, fmt.Sprintf("position %d is missing", s.next))
	}
	for p := s.chunk.first; p <= s.chunk.last(); p++ {
		r, err := s.chunk.record(p)
		if err != nil {
			return corrupt(s.path, string(bucketRecords), key, err.Error())
		}
		s.inRecords.addRecord(&r)
	}
	s.sum = s.sum.next(s.chunk.first, s.chunk.hash)
	s.next = s.chunk.last() + 1
	return nil
}
