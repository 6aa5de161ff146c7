package consensus

import (
	"sync"
)

// failstop ends the process once. After a failed write the page cache may lie,
// and after damage nothing that is read can be trusted: there is no going on.
type failstop struct {
	mu     sync.Mutex
	failed bool
}

// fail stops the node for good.
func (n *Node) fail(err error) { n.failWith(ExitCode(err), err) }

func (n *Node) failWith(code int, err error) {
	n.failstop.mu.Lock()
	first := !n.failstop.failed
	n.failstop.failed = true
	n.failstop.mu.Unlock()
	if first && code == ExitCorruption {
		err = n.condemn(err)
	}
	if first {
		n.cfg.Fatal(code, err)
	}
}

func (n *Node) hasFailed() bool {
	n.failstop.mu.Lock()
	defer n.failstop.mu.Unlock()
	return n.failstop.failed
}
