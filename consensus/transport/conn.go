package transport

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// calledConn is an accepted connection that raft's network transport serves. The
// caller sends one call, waits for its answer, then sends the next.
//
// Raft's side sets no deadlines and, after a call that it answers with an error,
// goes on reading where it stands: what is left of a snapshot would be taken for
// calls. Here a call that has begun must go on: where its bytes stop for idle, or
// anything else goes wrong within a call, the connection is over for good.
type calledConn struct {
	net.Conn
	idle   time.Duration
	closed func()
	once   sync.Once

	mu       sync.Mutex
	inCall   bool // bytes of a call were read, its answer was not written
	deadline bool // a read deadline is set
	broken   error
}

// Read implements net.Conn. One goroutine reads at a time.
func (c *calledConn) Read(b []byte) (int, error) {
	c.mu.Lock()
	inCall, err := c.inCall, c.broken
	if err == nil && inCall != c.deadline || inCall && err == nil {
		var by time.Time
		if inCall {
			by = time.Now().Add(c.idle)
		}
		c.deadline = inCall
		err = c.Conn.SetReadDeadline(by)
	}
	c.mu.Unlock()
	if err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	if n > 0 {
		c.inCall = true
	}
	if err != nil && c.inCall {
		c.breakLocked(err)
	}
	return n, err
}

// Write implements net.Conn: what is written is the answer of the call.
func (c *calledConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	err := c.broken
	c.inCall = false
	if err == nil {
		err = c.Conn.SetWriteDeadline(time.Now().Add(rpcTimeout))
	}
	c.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

func (c *calledConn) breakLocked(err error) {
	if c.broken == nil {
		c.broken = fmt.Errorf("connection broke within a call: %w", err)
		_ = c.Conn.Close()
	}
}

// Close implements net.Conn; the first call tells the port.
func (c *calledConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.closed)
	return err
}

// callingConn is a connection over which raft's network transport calls a peer.
//
// Raft sets one deadline for a whole call, for a snapshot one in proportion to its
// size: a peer that is gone would be waited for, and the log kept for it, all that
// time; and a large call over a slow line must not fail for ever because it takes
// longer than a short one may. So each write has its own deadline, and the answer is
// waited for as long as a short call may take. The receiver of a snapshot
// may be busy for hours with segments that it fetches elsewhere, or for seconds with
// its disk: as long as it answers heartbeats meanwhile, no deadline ends the call.
type callingConn struct {
	net.Conn
	alive  func() bool // a snapshot is on its way here, and its receiver lives
	closed func()
	once   sync.Once

	mu      sync.Mutex
	patient time.Duration // how long raft would wait, at most rpcTimeout
	reading bool          // the answer is being read
}

// SetDeadline implements net.Conn; raft calls it before each call.
func (c *callingConn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.patient, c.reading = min(time.Until(t), rpcTimeout), false
	return nil
}

// Write implements net.Conn.
func (c *callingConn) Write(b []byte) (int, error) {
	written := 0
	for {
		if err := c.Conn.SetWriteDeadline(time.Now().Add(rpcTimeout)); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(b[written:])
		written += n
		if err == nil || !isTimeout(err) || !c.alive() {
			return written, err
		}
	}
}

// Read implements net.Conn.
func (c *callingConn) Read(b []byte) (int, error) {
	c.mu.Lock()
	begins, patient := !c.reading, c.patient
	c.reading = true
	c.mu.Unlock()
	for {
		if begins {
			if err := c.Conn.SetReadDeadline(time.Now().Add(patient)); err != nil {
				return 0, err
			}
		}
		n, err := c.Conn.Read(b)
		if n > 0 || err == nil || !isTimeout(err) || !c.alive() {
			return n, err
		}
		begins = true
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// Close implements net.Conn; the first call tells the port.
func (c *callingConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.closed)
	return err
}
