package workflows

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Retry says how something that failed is tried again. The zero Retry: for ever, after
// 1 s, 2 s, 4 s … up to 100 s, each a little more or less.
type Retry struct {
	// Initial is the wait after the first attempt; default 1 s.
	Initial time.Duration
	// Factor is how much longer each next wait is; default 2, at least 1.
	Factor float64
	// Max is the longest wait; default 100 times Initial. None is longer than 100 years.
	Max time.Duration
	// Jitter is the part of a wait by which it may be longer or shorter, 0 to 1; default
	// 0.2. NoJitter: none.
	Jitter float64
	// Attempts is how many there are at most; 0: unlimited. With 1 a step runs at most
	// once, see Step.
	Attempts int
	// NonRetryable are types of errors after which there is no other attempt. Those that
	// are Final need not be listed.
	NonRetryable []string
	// Exhausted says what becomes of the run when a step has no attempt left.
	Exhausted Exhausted
}

// NoJitter is a Retry.Jitter of none.
const NoJitter = -1

// Exhausted says what becomes of a run when a step has no attempt left.
type Exhausted uint8

const (
	// Fail returns the error to the workflow's code: the default.
	Fail Exhausted = iota
	// Pause blocks the run until a person has it retried; the code hears nothing of it.
	Pause
)

// again reports whether there is an attempt after one that failed, and after how long.
// Random is within [0, 1).
func (r *Retry) again(attempt int, err *Error, random func() float64) (time.Duration, bool) {
	if err.Final || slices.Contains(r.NonRetryable, err.Type) || r.Attempts > 0 && attempt >= r.Attempts {
		return 0, false
	}
	initial := float64(cmp.Or(max(0, r.Initial), time.Second))
	longest := cmp.Or(max(0, float64(r.Max)), 100*initial)
	wait := initial * math.Pow(max(1, cmp.Or(r.Factor, 2)), float64(attempt-1))
	wait = min(wait, longest)
	if jitter := min(1, cmp.Or(r.Jitter, 0.2)); jitter > 0 {
		wait *= 1 + jitter*(2*random()-1)
	}
	wait = min(wait, float64(maxTimer))
	// Whole milliseconds read better, and nobody waits more exactly.
	return max(time.Millisecond, time.Duration(wait).Round(time.Millisecond)), true
}
