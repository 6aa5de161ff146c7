package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// ErrNotSent means that a request did not leave this node whole, so that the peer
// certainly did nothing. Any other error leaves that open.
var ErrNotSent = errors.New("request was not sent")

// ErrNoAnswer means that a request may have reached the peer, whose answer did not
// come.
var ErrNoAnswer = errors.New("no answer to the request")

const (
	// What may wait to be written to one peer, or for its answer; more is not sent.
	// One request may exceed the bytes.
	maxQueuedBytes = 64 << 20
	maxRequests    = 1 << 14
	// A peer that owes an answer for this long loses the connection.
	replyTimeout = 15 * time.Second
	sweepPeriod  = time.Second
)

var errStopping = errors.New("the node is stopping")

// Go sends a request to a peer, in order with those that were sent to it before.
// done is called once, from any goroutine, also before Go returns: with the answer, or
// with an error that wraps ErrNotSent or ErrNoAnswer. It must not block. The payload
// must not be changed until then.
func (p *Port) Go(peer raft.ServerID, kind byte, payload []byte, done func(answer []byte, err error)) {
	if len(payload) > maxFrameBytes {
		done(nil, fmt.Errorf("%w: %w: %d bytes, at most %d", ErrNotSent, errFrameTooLarge, len(payload), maxFrameBytes))
		return
	}
	l := p.link(peer)
	if l == nil {
		done(nil, fmt.Errorf("%w: %w", ErrNotSent, errStopping))
		return
	}
	l.send(&request{kind: kind, payload: payload, done: done})
}

// link returns the connection to a peer, nil once the port is closed.
func (p *Port) link(peer raft.ServerID) *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.links == nil {
		return nil
	}
	l := p.links[peer]
	if l == nil {
		l = &link{port: p, peer: peer, wake: make(chan struct{}, 1), pending: map[uint64]*request{}}
		p.links[peer] = l
		l.running.Add(1)
		go l.run()
	}
	return l
}

type request struct {
	kind    byte
	payload []byte
	done    func([]byte, error)
	id      uint64
	sent    time.Time
}

// link carries the requests to one peer over one connection, which it makes when
// it is needed. One goroutine writes, one per connection reads.
type link struct {
	port    *Port
	peer    raft.ServerID
	wake    chan struct{} // capacity 1
	running sync.WaitGroup

	mu      sync.Mutex
	queue   []*request // not handed to the connection yet
	bytes   int        // of the queue's payloads
	nextID  uint64
	pending map[uint64]*request // handed to conn, perhaps only in part
	conn    net.Conn
	closed  bool
}

func (l *link) send(r *request) {
	l.mu.Lock()
	var refused error
	switch {
	case l.closed:
		refused = errStopping
	case len(l.queue)+len(l.pending) >= maxRequests || len(l.queue) > 0 && l.bytes+len(r.payload) > maxQueuedBytes:
		refused = fmt.Errorf("too much waits for %s", l.peer)
	default:
		l.queue = append(l.queue, r)
		l.bytes += len(r.payload)
	}
	l.mu.Unlock()
	if refused != nil {
		r.done(nil, fmt.Errorf("%w: %w", ErrNotSent, refused))
		return
	}
	l.signal()
}

func (l *link) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// close ends the link; every request is answered when it returns.
func (l *link) close() {
	l.mu.Lock()
	l.closed = true
	conn := l.conn
	l.mu.Unlock()
	if conn != nil {
		_ = conn.Close()
	}
	l.running.Wait()
	l.failQueued(errStopping)
	l.lose(conn, errStopping)
}

func (l *link) run() {
	defer l.running.Done()
	sweep := time.NewTicker(sweepPeriod)
	defer sweep.Stop()
	var w frameWriter
	for {
		select {
		case <-l.wake:
		case now := <-sweep.C:
			l.dropSilent(now)
			continue
		case <-l.port.lifetime.Done():
			return
		}
		conn, err := l.connection()
		if err != nil {
			l.failQueued(err)
			continue
		}
		if w.conn != conn {
			w = frameWriter{conn: conn}
		}
		requests, frames := l.take(conn)
		if whole, err := w.write(frames); err != nil {
			l.unsend(requests[whole:], err)
			l.lose(conn, err)
		}
	}
}

// connection returns the open connection, or makes one.
func (l *link) connection() (net.Conn, error) {
	l.mu.Lock()
	conn := l.conn
	l.mu.Unlock()
	if conn != nil {
		return conn, nil
	}
	address := l.port.cfg.Resolve(l.peer)
	if address == "" {
		return nil, fmt.Errorf("no address of %s is known", l.peer)
	}
	ctx, cancel := context.WithTimeout(l.port.lifetime, dialTimeout)
	defer cancel()
	conn, err := l.port.dial(ctx, l.peer, address, forForward)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errors.Join(errStopping, conn.Close())
	}
	l.conn = conn
	l.running.Add(1)
	go l.read(conn)
	return conn, nil
}

// take moves what is queued to pending, to be written to conn. If conn was lost
// meanwhile the queue stays for the next one.
func (l *link) take(conn net.Conn) ([]*request, []frame) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != conn {
		l.signal()
		return nil, nil
	}
	requests, now := l.queue, time.Now()
	frames := make([]frame, len(requests))
	for i, r := range requests {
		l.nextID++
		r.id, r.sent = l.nextID, now
		l.pending[r.id] = r
		frames[i] = frame{id: r.id, kind: r.kind, payload: r.payload}
	}
	l.queue, l.bytes = nil, 0
	return requests, frames
}

// unsend answers requests that did not leave this node whole.
func (l *link) unsend(requests []*request, why error) {
	var unsent []*request
	l.mu.Lock()
	for _, r := range requests {
		if l.pending[r.id] == r { // else the connection was lost, and r answered, meanwhile
			delete(l.pending, r.id)
			unsent = append(unsent, r)
		}
	}
	l.mu.Unlock()
	for _, r := range unsent {
		r.done(nil, fmt.Errorf("%w: %w", ErrNotSent, why))
	}
}

func (l *link) read(conn net.Conn) {
	defer l.running.Done()
	r := bufio.NewReaderSize(conn, readBufferBytes)
	for {
		f, err := readFrame(r)
		if err != nil {
			l.lose(conn, err)
			return
		}
		l.mu.Lock()
		req := l.pending[f.id]
		delete(l.pending, f.id)
		l.mu.Unlock()
		if req != nil {
			req.done(f.payload, nil)
		}
	}
}

// lose gives a connection up: what was sent over it has no answer.
func (l *link) lose(conn net.Conn, why error) {
	if conn == nil {
		return
	}
	_ = conn.Close()
	l.mu.Lock()
	var lost map[uint64]*request
	if l.conn == conn {
		l.conn = nil
		lost, l.pending = l.pending, map[uint64]*request{}
	}
	l.mu.Unlock()
	for _, r := range lost {
		r.done(nil, fmt.Errorf("%w: %w", ErrNoAnswer, why))
	}
}

// failQueued answers what was not sent.
func (l *link) failQueued(why error) {
	l.mu.Lock()
	queue := l.queue
	l.queue, l.bytes = nil, 0
	l.mu.Unlock()
	for _, r := range queue {
		r.done(nil, fmt.Errorf("%w: %w", ErrNotSent, why))
	}
}

// dropSilent gives up a connection whose peer owes an answer for too long.
func (l *link) dropSilent(now time.Time) {
	l.mu.Lock()
	conn, silent := l.conn, false
	for _, r := range l.pending {
		silent = silent || now.Sub(r.sent) > l.port.cfg.replyTimeout
	}
	l.mu.Unlock()
	if silent {
		l.lose(conn, fmt.Errorf("%s was silent for %v", l.peer, l.port.cfg.replyTimeout))
	}
}
