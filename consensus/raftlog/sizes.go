package raftlog

import (
	"sort"
	"sync"
)

// sampleBytes is how far apart the samples of the cumulative size are.
const sampleBytes = 16 << 10

// sizes keeps the cumulative size of the log, sampled: 16 bytes of memory for each
// 16 KiB of log.
type sizes struct {
	mu      sync.Mutex
	samples []sizeSample // ascending; the first one is the base: what lies before the log
	first   uint64       // oldest index; the base may lie before the one before it
	last    uint64       // newest index
	total   int64        // cumulative size up to and with last
}

type sizeSample struct {
	index uint64
	total int64 // of all entries up to and with index
}

// add counts an entry; indexes ascend.
func (s *sizes) add(index uint64, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.samples) == 0 {
		s.samples = append(s.samples, sizeSample{index - 1, s.total})
		s.first = index
	}
	s.last = index
	s.total += bytes
	if s.total-s.samples[len(s.samples)-1].total >= sampleBytes {
		s.samples = append(s.samples, sizeSample{index, s.total})
	}
}

// deletePrefix forgets the entries up to and with index.
func (s *sizes) deletePrefix(index uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if index >= s.last {
		s.samples = nil
		return
	}
	s.first = max(s.first, index+1)
	i := sort.Search(len(s.samples), func(i int) bool { return s.samples[i].index > index })
	if i > 1 { // the sample at or before index becomes the base
		s.samples = append(s.samples[:0], s.samples[i-1:]...)
	}
}

// deleteSuffix forgets the entries from index on.
func (s *sizes) deleteSuffix(index uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := sort.Search(len(s.samples), func(i int) bool { return s.samples[i].index >= index })
	if i == 0 {
		s.samples = nil
		return
	}
	if i < len(s.samples) {
		s.total = s.samples[i].total // rather too much than too little
	}
	s.samples = s.samples[:i]
	s.last = min(s.last, index-1)
}

// since is the size of the entries after index, at most two samples and one entry too
// high.
func (s *sizes) since(index uint64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.samples) == 0 || index >= s.last {
		return 0
	}
	i := sort.Search(len(s.samples), func(i int) bool { return s.samples[i].index > index })
	return s.total - s.samples[max(i-1, 0)].total
}

// trailing is the number of newest entries whose size is at most bytes, rounded down
// by at most two samples.
func (s *sizes) trailing(bytes int64) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.samples) == 0 {
		return 0
	}
	i := sort.Search(len(s.samples), func(i int) bool { return s.total-s.samples[i].total <= bytes })
	if i == len(s.samples) {
		return 0
	}
	return min(s.last-s.samples[i].index, s.last-s.first+1)
}
