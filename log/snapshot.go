package log

import (
	"sort"

	"github.com/edri-io/edri/event"
)

// recordOverhead is what a record in the tail takes besides its bytes.
const recordOverhead = 128

// snapshot is the journal at one moment. It is immutable: what changes the
// journal replaces it. From the oldest record to the newest there are
//
//	segments                                  tail
//	|--------- sealed ---------|--- active ---|-----------|
//	|------ posting lists --------|------ signatures -----|
//	first                         base        durable     mark.Last
type snapshot struct {
	mark       Mark
	segments   []segmentState // without gaps; none is empty
	durable    event.Position // last in segments
	tail       []Record       // the records after durable
	tailBytes  int64
	signatures signatures
	purges     *Purges // nil: none
}

// segmentState is a segment with the header of one moment.
type segmentState struct {
	*segment
	header header
}

// setHeader replaces the header of a segment, if it is still there. The caller owns
// the slice of segments.
func (s *snapshot) setHeader(to segmentState) {
	for i := range s.segments {
		if s.segments[i].segment == to.segment {
			s.segments[i] = to
		}
	}
}

func (s *snapshot) has(segment *segment) bool {
	for i := range s.segments {
		if s.segments[i].segment == segment {
			return true
		}
	}
	return false
}

// first is the oldest position that may be read.
func (s *snapshot) first() event.Position { return max(s.mark.First, 1) }

// find returns the index of the segment with p, which is not above durable; -1
// if it is below the first segment.
func (s *snapshot) find(p event.Position) int {
	return sort.Search(len(s.segments), func(i int) bool { return s.segments[i].header.first > p }) - 1
}

// at returns the record at p, which is above durable.
func (s *snapshot) at(p event.Position) *Record { return &s.tail[p-s.durable-1] }

// search returns the first position whose stamp is at least stamp, the one after
// the last if there is none.
func (s *snapshot) search(stamp int64) (event.Position, error) {
	i := sort.Search(len(s.segments), func(i int) bool { return s.segments[i].header.lastStamp >= stamp })
	if i == len(s.segments) {
		n := sort.Search(len(s.tail), func(i int) bool { return s.tail[i].Stamp >= stamp })
		return s.durable + event.Position(n) + 1, nil
	}
	segment := &s.segments[i]
	lo := max(segment.header.first, s.first())
	if lo > segment.header.last {
		return lo, nil
	}
	var f file
	if err := f.open(segment.segment); err != nil {
		return 0, err
	}
	defer f.close()
	var found event.Position
	err := guarded(segment.path, func() (err error) {
		found, err = f.search(lo, segment.header.last, stamp)
		return err
	})
	return found, err
}
