package client

import (
	"github.com/edri-io/edri/event"
)

// call is one commit from its caller to its result. Its fields belong to the
// pool until a lane has taken it, then to that lane (and its mu), and when done
// is closed to the caller.
type call struct {
	ops  []byte // encoded
	n    int    // how many operations
	each bool

	// first and last are the sequences it consumes; 0 until the lane gives it one,
	// unless a producer chose them.
	first, last uint64
	// sends counts the streams that it was written to. 0: nobody can have
	// executed it.
	sends int
	// heard is what sends was when a stream last answered the call.
	heard int
	// settled: the caller has an answer.
	settled bool
	// finished: the cluster has given its answer too, or cannot any more. The lane
	// need not send the call again; it stays in the queue until those before it
	// are finished too.
	finished bool
	// abandoned: the caller is gone, with outcome_unknown if sends > 0.
	abandoned bool

	lane *lane // under pool.mu
	done chan struct{}
	// Set before done is closed.
	result Result
	err    error
}

func newCall(ops []byte, n int) *call {
	return &call{ops: ops, n: n, done: make(chan struct{})}
}

func (c *call) settle(result Result, err error) {
	if c.settled {
		return
	}
	c.settled, c.result, c.err = true, result, err
	close(c.done)
}

// finish settles the call and lets its lane forget it.
func (c *call) finish(result Result, err error) {
	c.settle(result, err)
	c.finished = true
}

// outcomeUnknown is the error of a commit that was sent and whose result is lost.
func outcomeUnknown(why string, cause error) error {
	return withCause(event.Errorf(event.CodeOutcomeUnknown, "%s", why), cause)
}
