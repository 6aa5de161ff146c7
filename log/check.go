package log

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/store"
)

// CheckSegment reads the whole of a segment's file, which is the size bytes of r
// and which nobody changes: each page, the checksum of each row, each record, that
// positions have no gap, what the header says of them, that the posting lists are
// those of the records, and a sealed segment's digest. It needs no bbolt and writes nothing. Errors call the file name; damage
// is store.ErrCorrupt, a newer version store.ErrFormat.
func CheckSegment(ctx context.Context, r io.ReaderAt, size int64, name string) (SegmentInfo, error) {
	c := segmentCheck{name: name}
	if err := store.CheckBoltIn(ctx, r, size, name, c.row); err != nil {
		return SegmentInfo{}, err
	}
	if err := c.compare(); err != nil {
		return SegmentInfo{}, err
	}
	return infoOf(&c.header), nil
}

// segmentCheck is what was met of a segment so far. Buckets come in the order of
// their names: merged lists, runs, the header, records.
type segmentCheck struct {
	name   string
	found  bool // the header
	header header

	first, last           event.Position // of the records; 0: none yet
	firstStamp, lastStamp int64
	bytes                 int64
	// digest is that of the rows so far, before that of those without the last.
	digest, before digest
	chunk          chunk

	runs, merged     []run // buckets of posting lists
	inRuns, inMerged tally // what they hold
	inRecords        tally // what they should, of the records that are indexed
}

func (c *segmentCheck) row(bucket string, key, value []byte) error {
	switch {
	case bucket == string(bucketHeader):
		return c.headerRow(key, value)
	case bucket == string(bucketRecords):
		return c.chunkRow(key, value)
	case len(bucket) == runNameBytes && bucket[0] == kindRun:
		return c.postingRow(&c.runs, &c.inRuns, bucket, key, value)
	case len(bucket) == runNameBytes && bucket[0] == kindMerged:
		return c.postingRow(&c.merged, &c.inMerged, bucket, key, value)
	}
	return corrupt(c.name, bucket, nil, "no segment has this bucket")
}

func (c *segmentCheck) postingRow(runs *[]run, sum *tally, bucket string, key, value []byte) error {
	r := parseRunName(bucket)
	if n := len(*runs); n == 0 || (*runs)[n-1] != r {
		*runs = append(*runs, r)
	}
	if err := sum.addRow(key, value); err != nil {
		return corrupt(c.name, "postings", key, err.Error())
	}
	return nil
}

func (c *segmentCheck) headerRow(key, value []byte) error {
	if !bytes.Equal(key, keyHeader) {
		return corrupt(c.name, string(bucketHeader), key, "unknown row")
	}
	h, err := parseHeader(value)
	switch {
	case err != nil && isFormat(err):
		return fmt.Errorf("%s: %w", c.name, err)
	case err != nil:
		return corrupt(c.name, string(bucketHeader), key, err.Error())
	}
	c.header, c.found = h, true
	return nil
}

func (c *segmentCheck) chunkRow(key, value []byte) error {
	if err := decodeChunk(&c.chunk, key, value); err != nil {
		return corrupt(c.name, string(bucketRecords), key, err.Error())
	}
	if c.last == 0 {
		c.first, c.last = c.chunk.first, c.chunk.first-1
	}
	if c.chunk.first != c.last+1 {
		return corrupt(c.name, string(bucketRecords), key, fmt.Sprintf("position %d is missing", c.last+1))
	}
	for p := c.chunk.first; p <= c.chunk.last(); p++ {
		r, err := c.chunk.record(p)
		if err != nil {
			return corrupt(c.name, string(bucketRecords), key, err.Error())
		}
		if p == c.first {
			c.firstStamp, c.lastStamp = r.Stamp, r.Stamp
		}
		if r.Stamp < c.lastStamp {
			return corrupt(c.name, string(bucketRecords), key, fmt.Sprintf("position %d has an earlier stamp than the one before", p))
		}
		c.lastStamp = r.Stamp
		if p <= c.header.indexed {
			c.inRecords.addRecord(&r)
		}
	}
	c.bytes += int64(len(c.chunk.body))
	c.before, c.digest = c.digest, c.digest.next(c.chunk.first, c.chunk.hash)
	c.last = c.chunk.last()
	return nil
}

// compare holds what the header says to the records.
func (c *segmentCheck) compare() error {
	h := &c.header
	wrong := func(format string, args ...any) error {
		return corrupt(c.name, string(bucketHeader), keyHeader, fmt.Sprintf(format, args...))
	}
	switch {
	case !c.found:
		return corrupt(c.name, string(bucketHeader), nil, "there is no header")
	case h.empty() && c.last == 0:
		return nil
	case h.first != c.first || h.last != c.last:
		return wrong("says positions %d to %d, the records go from %d to %d", h.first, h.last, c.first, c.last)
	case h.bytes != c.bytes:
		return wrong("says %d bytes, the records have %d", h.bytes, c.bytes)
	case h.firstStamp != c.firstStamp || h.lastStamp != c.lastStamp:
		return wrong("says other stamps than the records have")
	case h.sealed && h.digest != c.digest, !h.sealed && h.digest != c.before:
		return wrong("digest is %x, that of the rows %x, without the last %x", h.digest, c.digest, c.before)
	}
	return c.comparePostings()
}

// comparePostings holds the posting lists to the records: of a sealed segment the
// merged ones, otherwise the runs, whatever was merged of them.
func (c *segmentCheck) comparePostings() error {
	runs, sum, until := c.runs, &c.inRuns, c.header.indexed
	if c.header.sealed {
		runs, sum, until = c.merged, &c.inMerged, c.header.last
	}
	next := c.header.first
	for _, r := range runs {
		if r.lo != next || r.hi < r.lo {
			return corrupt(c.name, "postings", nil, fmt.Sprintf("lists of %d-%d where %d should begin", r.lo, r.hi, next))
		}
		next = r.hi + 1
	}
	if next != until+1 {
		return corrupt(c.name, "postings", nil, fmt.Sprintf("lists end at %d, the header says %d", next-1, until))
	}
	if !sum.equal(&c.inRecords) {
		return corrupt(c.name, "postings", nil, fmt.Sprintf("the lists hold %d entries, not the %d of the records", sum.pairs, c.inRecords.pairs))
	}
	return nil
}
